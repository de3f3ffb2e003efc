package messaging_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

// logRing is the keyring of the tests of Topics.
func logRing() messaging.Keyring {
	return messaging.Keyring{
		Names:   bytes.Repeat([]byte{1}, 32),
		Seals:   map[string][]byte{"k1": bytes.Repeat([]byte{2}, 32)},
		Current: "k1",
	}
}

// newLog returns an empty log that the test closes.
func newLog(t testing.TB) *memory.Log {
	log := memory.New()
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// newNode returns a node's Topics on a log that nodes may share, which keep no
// directory: what is appended is what the test appends.
func newNode(t testing.TB, log messaging.Log, opts messaging.TopicsOptions) *messaging.Topics {
	t.Helper()
	opts.Unlisted = true
	return newListedNode(t, log, opts)
}

// newListedNode returns a node's Topics as a server has them.
func newListedNode(t testing.TB, log messaging.Log, opts messaging.TopicsOptions) *messaging.Topics {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	topics, err := messaging.NewTopics(log, logRing(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return topics
}

// runNode runs a node until the test, or stop, ends it.
func runNode(t testing.TB, topics *messaging.Topics) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- topics.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

const deadline = 30 * time.Second

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func message(id, body string) messaging.Message {
	return messaging.Message{ID: id, Body: []byte(body)}
}

// appendAll appends one message a call, with ids as bodies, too.
func appendAll(t testing.TB, topics *messaging.Topics, tenant lodge.Tenant, name string, ids ...string) []messaging.Pos {
	t.Helper()
	var at []messaging.Pos
	for _, id := range ids {
		added, err := topics.Append(testContext(t), tenant, name, message(id, id))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, added[0].Pos)
	}
	return at
}

// readAll reads a topic from a position to its head, a few items at a time.
func readAll(t testing.TB, topics *messaging.Topics, tenant lodge.Tenant, name string, after messaging.Pos) []messaging.Item {
	t.Helper()
	var items []messaging.Item
	for {
		page, err := topics.Read(testContext(t), tenant, name, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, page.Items...)
		if !page.More {
			return items
		}
		after = page.Items[len(page.Items)-1].Pos
	}
}

// show writes items as their bodies, and a gap as "!".
func show(items []messaging.Item) string {
	var parts []string
	for _, it := range items {
		if it.Gap {
			parts = append(parts, "!")
			continue
		}
		parts = append(parts, string(it.Body))
	}
	return strings.Join(parts, " ")
}

func numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("m%02d", i+1)
	}
	return ids
}

// A spyLog remembers the topics that were appended to.
type spyLog struct {
	messaging.Log
	mu     sync.Mutex
	topics []messaging.Topic
}

func (l *spyLog) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	l.mu.Lock()
	if !slices.Contains(l.topics, topic) {
		l.topics = append(l.topics, topic)
	}
	l.mu.Unlock()
	return l.Log.Append(ctx, topic, msgs, ifHead)
}

// last returns the topic that was first appended to most recently.
func (l *spyLog) last() messaging.Topic {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.topics[len(l.topics)-1]
}
