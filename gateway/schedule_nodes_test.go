package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/messaging"
)

// A stumblingLog answers the next so many appends with a time-out, by turns before
// and after they were stored.
type stumblingLog struct {
	messaging.Log
	left atomic.Int64
}

func (s *stumblingLog) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	left := s.left.Add(-1)
	if left >= 0 && left%2 == 1 {
		return nil, context.DeadlineExceeded
	}
	done, err := s.Log.Append(ctx, topic, msgs, ifHead)
	if left >= 0 {
		return nil, context.DeadlineExceeded
	}
	return done, err
}

// Forget implements messaging.Forgetter, as the log it stands before does.
func (s *stumblingLog) Forget(ctx context.Context) error {
	return s.Log.(messaging.Forgetter).Forget(ctx)
}

// fillSchedule has so many messages wait for a minute to pass, and returns their
// texts.
func (l *lab) fillSchedule(by *browser, n int) []string {
	l.Helper()
	var texts []string
	for i := range n {
		texts = append(texts, fmt.Sprintf("message %02d", i))
		by.schedules("all", texts[i], l.clock.Now().Add(time.Minute))
	}
	return texts
}

// once checks that the topic all has these messages, each once.
func (l *lab) once(reader *browser, texts []string) {
	l.Helper()
	got := reader.texts("?topic=all&limit=200")
	slices.Sort(got)
	if !slices.Equal(got, texts) {
		l.Errorf("sent %q, want %q", got, texts)
	}
}

// Three nodes on one schedule: each message is taken up by one and sent once.
func TestNodesSendAScheduledMessageOnce(t *testing.T) {
	l := newLab(t)
	l.another()
	l.another()
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	texts := l.fillSchedule(grace, 12)
	l.clock.pass(time.Minute)
	wstest.Eventually(t, "all are done", func() bool { return len(grace.scheduled()) == 0 })
	l.once(ada, texts)
	entries, err := l.trail.List(t.Context(), lodge.DefaultTenant, audit.Filter{Limit: 200})
	l.must(err)
	sends := 0
	for _, e := range entries {
		if e.Action == audit.Send && e.Address == "" {
			sends++
		}
	}
	if sends != len(texts) {
		t.Errorf("%d messages were sent in %d attempts", len(texts), sends)
	}
}

// Appends of either node time out, whether they were stored or not, while the time
// that a message is left to the node that took it up passes again and again.
func TestAScheduledMessageIsRetriedAfterATimeOut(t *testing.T) {
	l := newLab(t)
	l.another()
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	texts := l.fillSchedule(grace, 4)
	l.stumbles.left.Store(12)
	l.clock.pass(time.Minute)
	wstest.Eventually(t, "all are done", func() bool {
		if l.stumbles.left.Load() > 0 {
			l.clock.pass(11 * time.Second)
			return false
		}
		open := len(grace.scheduled())
		if open > 0 {
			l.clock.pass(11 * time.Second)
		}
		return open == 0
	})
	l.once(ada, texts)
}

// A node took messages up and died, of one before and of one after it was
// published: another sends the first, once the time it was left alone is over.
func TestAnotherNodeSendsWhatADeadOneTookUp(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	at := l.clock.Now().Add(time.Minute)
	before, after := grace.schedules("all", "claimed", at), grace.schedules("all", "published", at)
	marker := grace.schedules("group:physics-1", "marker", at.Add(time.Second))
	for _, id := range []string{before.ID, after.ID} {
		body, err := json.Marshal(map[string]any{"kind": "claim", "id": id, "time": at, "claim": "of the dead node"})
		l.must(err)
		_, err = l.topics.Append(t.Context(), lodge.DefaultTenant, "schedule", messaging.Message{Body: body})
		l.must(err)
	}
	event, err := messaging.NewEvent(messaging.TypeNotice, "", at, gateway.Notice{Text: "published", Priority: "info", From: "Grace Hopper", To: "all"})
	l.must(err)
	event.ID = after.ID
	message, err := event.Message()
	l.must(err)
	_, err = l.topics.Append(t.Context(), lodge.DefaultTenant, "all", message)
	l.must(err)

	l.clock.pass(time.Minute + time.Second)
	wstest.Eventually(t, "what was not taken up is sent", func() bool { return slices.Equal(ada.texts("?topic=group:physics-1"), []string{"marker"}) })
	l.once(ada, []string{"published"})
	if got := strings.Join(grace.scheduled(), ", "); !strings.Contains(got, "claimed sending") || !strings.Contains(got, "published sending") {
		t.Errorf("beside %s: %s", marker.ID, got)
	}
	grace.refused(409, "DELETE", scheduledPath+"/"+before.ID, nil)
	l.clock.pass(10 * time.Second)
	wstest.Eventually(t, "both are done", func() bool { return len(grace.scheduled()) == 0 })
	l.once(ada, []string{"claimed", "published"})
}
