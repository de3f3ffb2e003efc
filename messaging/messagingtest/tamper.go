package messagingtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// A Raw is what whoever administers a back end can do to it, past the Log: its
// entries are changed where they are stored. Positions keep their numbers and tags
// unless the entry says otherwise.
type Raw struct {
	Log messaging.Log
	// Put stores an entry in place of the one with its epoch and sequence number,
	// or as a new one behind the last, which the head then is.
	Put func(t *testing.T, topic messaging.Topic, e messaging.Entry)
	// Remove takes the entry with a sequence number away. The back end may refuse
	// to read over the hole, or read over it.
	Remove func(t *testing.T, topic messaging.Topic, at messaging.Pos)
}

// Tamper is the suite that every back end runs against messaging.Topics above it:
// entries that were forged, altered, replayed, reordered, removed, or moved between
// topics and tenants directly in the back end are never delivered; a gap is, which
// is counted and named in the log.
func Tamper(t *testing.T, open func(t *testing.T) Raw) {
	for name, change := range map[string]func(t *testing.T, b *tampered){
		"Forged": func(t *testing.T, b *tampered) {
			e := b.entries[2]
			e.Body = bytes.Repeat([]byte{7}, len(e.Body))
			b.put(t, e)
		},
		"Altered": func(t *testing.T, b *tampered) {
			e := b.entries[2]
			e.Body = bytes.Clone(e.Body)
			e.Body[len(e.Body)/2] ^= 1
			b.put(t, e)
		},
		"AnotherID": func(t *testing.T, b *tampered) {
			e := b.entries[2]
			e.ID = "of mine"
			b.put(t, e)
		},
		"ReplayedInPlaceOfAnother": func(t *testing.T, b *tampered) {
			e := b.entries[0]
			e.Pos = b.entries[2].Pos
			b.put(t, e)
		},
		"Reordered": func(t *testing.T, b *tampered) {
			one, two := b.entries[1], b.entries[2]
			one.Pos.Seq, two.Pos.Seq = two.Pos.Seq, one.Pos.Seq
			one.ID, two.ID = one.ID+" moved", two.ID+" moved" // which frees the IDs
			b.put(t, two)
			b.put(t, one)
		},
		"Removed": func(t *testing.T, b *tampered) { b.raw.Remove(t, b.topic, b.entries[2].Pos) },
		"MovedFromAnotherTopic": func(t *testing.T, b *tampered) {
			e := b.read(t, b.other)[2]
			e.Pos = messaging.Pos{Epoch: b.entries[2].Pos.Epoch, Seq: b.entries[2].Pos.Seq, Tag: e.Pos.Tag}
			b.put(t, e)
		},
		"MovedFromAnotherTenant": func(t *testing.T, b *tampered) {
			e := b.read(t, b.foreign)[2]
			e.Pos = messaging.Pos{Epoch: b.entries[2].Pos.Epoch, Seq: b.entries[2].Pos.Seq, Tag: e.Pos.Tag}
			b.put(t, e)
		},
		"ForgedBehindTheLast": func(t *testing.T, b *tampered) {
			e := b.entries[4]
			e.ID, e.Pos.Seq = "forged", e.Pos.Seq+1
			b.put(t, e)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTampered(t, open(t))
			change(t, b)
			b.check(t)
		})
	}
}

// tampered is a back end with a topic of five messages, another one of the same
// tenant and one of the same name of another tenant.
type tampered struct {
	raw                   Raw
	topics                *messaging.Topics
	topic, other, foreign messaging.Topic
	entries               []messaging.Entry
	said                  *lines
}

func newTampered(t *testing.T, raw Raw) *tampered {
	t.Helper()
	spy := &namesOf{Log: raw.Log}
	b := &tampered{raw: raw, said: &lines{}}
	var err error
	b.topics, err = messaging.NewTopics(spy, messaging.Keyring{
		Names: bytes.Repeat([]byte{1}, 32), Seals: map[string][]byte{"k": bytes.Repeat([]byte{2}, 32)}, Current: "k",
	}, messaging.TopicsOptions{Unlisted: true, Logger: slog.New(slog.NewTextHandler(b.said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	names := []messaging.Topic{}
	for _, where := range []struct {
		tenant lodge.Tenant
		name   string
	}{{"t", "all"}, {"t", "other"}, {"u", "all"}} {
		for i := range 5 {
			m := messaging.Message{ID: fmt.Sprint("m", i), Body: fmt.Appendf(nil, "%s %s %d", where.tenant, where.name, i)}
			if _, err := b.topics.Append(t.Context(), where.tenant, where.name, m); err != nil {
				t.Fatal(err)
			}
		}
		names = append(names, spy.last())
	}
	b.topic, b.other, b.foreign = names[0], names[1], names[2]
	b.entries = b.read(t, b.topic)
	return b
}

func (b *tampered) read(t *testing.T, topic messaging.Topic) []messaging.Entry {
	t.Helper()
	page, err := b.raw.Log.Read(t.Context(), topic, messaging.Pos{}, 100)
	if err != nil || len(page.Entries) != 5 {
		t.Fatalf("%d entries, %v", len(page.Entries), err)
	}
	return page.Entries
}

func (b *tampered) put(t *testing.T, e messaging.Entry) {
	t.Helper()
	b.raw.Put(t, b.topic, e)
}

// check reads the topic in both directions.
func (b *tampered) check(t *testing.T) {
	t.Helper()
	forth, err := b.topics.Read(t.Context(), "t", "all", messaging.Pos{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	b.genuine(t, "reading", forth.Items)
	if stats := b.topics.Stats(); stats.Rejected == 0 || stats.Gaps == 0 {
		t.Errorf("it was not counted: %+v", stats)
	}
	if said := b.said.String(); !strings.Contains(said, "tampered") || !strings.Contains(said, "topic.name=all") {
		t.Errorf("the log does not name it: %s", said)
	}
	back, err := b.topics.ReadBack(t.Context(), "t", "all", messaging.Pos{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(back.Items)
	b.genuine(t, "reading back", back.Items)
}

// genuine expects a gap, beside it nothing but what was said, once and in order,
// and of what stands before the gap everything.
func (b *tampered) genuine(t *testing.T, way string, items []messaging.Item) {
	t.Helper()
	gaps, last := 0, -1
	for _, it := range items {
		if it.Gap {
			gaps++
			continue
		}
		var n int
		if _, err := fmt.Sscanf(string(it.Body), "t all %d", &n); err != nil || it.ID != fmt.Sprint("m", n) || n <= last {
			t.Errorf("%s: something false was delivered: %q as %q", way, it.Body, it.ID)
		}
		if gaps == 0 && n != last+1 {
			t.Errorf("%s: message %d came behind %d without a gap", way, n, last)
		}
		last = n
	}
	if gaps == 0 {
		t.Errorf("%s: there is no gap", way)
	}
}

// namesOf remembers the topic that was appended to last.
type namesOf struct {
	messaging.Log
	mu    sync.Mutex
	topic messaging.Topic
}

func (n *namesOf) Append(ctx context.Context, topic messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	n.mu.Lock()
	n.topic = topic
	n.mu.Unlock()
	return n.Log.Append(ctx, topic, msgs, ifHead)
}

func (n *namesOf) last() messaging.Topic {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.topic
}

// lines is what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
