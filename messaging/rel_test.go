package messaging_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// A failingLog fails, or waits, on either side of the commit.
type failingLog struct {
	messaging.Log
	began  chan struct{} // capacity 1: an append is about to commit
	commit chan struct{} // when set, it commits once this is closed

	before, after int // so many appends fail on that side
}

func (l *failingLog) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	if l.before > 0 {
		l.before--
		return nil, fmt.Errorf("%w: before the commit", messaging.ErrUnavailable)
	}
	if l.commit != nil {
		select {
		case l.began <- struct{}{}:
		default:
		}
		select {
		case <-l.commit:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	added, err := l.Log.Append(ctx, topic, msgs, ifHead)
	if err == nil && l.after > 0 {
		l.after--
		return nil, fmt.Errorf("%w: after the commit", messaging.ErrUncertain)
	}
	return added, err
}

// What fails before the commit is not acknowledged and not there; what fails
// after it is acknowledged, once, when it is sent again; and nothing is
// acknowledged while the commit is under way.
func TestRel02_AcknowledgedOnlyAfterTheCommit(t *testing.T) {
	log := newLog(t)
	failing := &failingLog{Log: log}
	topics, other := newNode(t, failing, messaging.TopicsOptions{}), newNode(t, log, messaging.TopicsOptions{})
	there := func() string { return show(readAll(t, other, "t", "all", messaging.Pos{})) }

	failing.before = 1
	if _, err := topics.Append(testContext(t), "t", "all", message("a", "a")); lodge.CodeOf(err) != lodge.CodeUnavailable || there() != "" {
		t.Fatalf("before the commit: %v, there is %q", err, there())
	}
	appendAll(t, topics, "t", "all", "a")

	failing.after = 5 // as often as one append tries
	if _, err := topics.Append(testContext(t), "t", "all", message("b", "b")); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Fatalf("after the commit: %v", err)
	}
	failing.after = 0
	at := appendAll(t, topics, "t", "all", "b")
	if items := readAll(t, other, "t", "all", messaging.Pos{}); show(items) != "a b" || items[1].Pos != at[0] {
		t.Fatalf("sent again: %q", show(items))
	}

	failing.began, failing.commit = make(chan struct{}, 1), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := topics.Append(testContext(t), "t", "all", message("c", "c"))
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("acknowledged before the commit: %v", err)
	case <-failing.began:
	}
	if there() != "a b" {
		t.Errorf("there is %q before the commit", there())
	}
	close(failing.commit)
	if err := <-done; err != nil || there() != "a b c" {
		t.Errorf("%v, there is %q", err, there())
	}
}

// Whoever comes back to a place that is discarded by then is told what could not
// be replayed, and goes on behind it, on every node.
func TestRel25_TruncatedHistoryIsAnExplicitGap(t *testing.T) {
	spy := &spyLog{Log: newLog(t)}
	first, second := newHouse(t, houseOptions{log: spy}), newHouse(t, houseOptions{log: spy})
	for _, h := range []*house{first, second} {
		h.let("a", "ada", "all")
	}
	c := first.dial("a", "")
	c.caughtUp()
	first.say("all", "1")
	c.expect("all/1")
	left := c.cursors["all"]
	_ = c.ws.CloseNow()
	first.say("all", "2")
	floor := first.say("all", "3")
	first.say("all", "4")
	for _, topic := range spy.all() { // the one that has the floor
		if err := spy.Discard(testContext(t), topic, floor); err == nil {
			break
		}
	}
	for _, h := range []*house{first, second} {
		back := h.dial("a", "resume=all~"+left)
		gap := back.next()
		if g := gap.gap(t); gap.Type != messaging.TypeGap || g.Topic != "all" || g.Since != left || g.Position != floor.String() {
			t.Fatalf("%+v", gap)
		}
		back.expect("all/4")
		same(t, back.caughtUp())
	}
}

// all returns the topics that were appended to.
func (l *spyLog) all() []messaging.Topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]messaging.Topic(nil), l.topics...)
}
