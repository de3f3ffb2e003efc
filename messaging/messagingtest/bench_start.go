package messagingtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// BenchStartEntries is how many entries BenchStart's topic has.
const BenchStartEntries = 1_000_000

// startLimit is how long a node may take until it has the topic's state.
const startLimit = time.Second

// BenchStart measures how long a node that starts takes until it has the state of
// a topic of a million entries with a snapshot, and fails when that is a second or
// more. open returns the log as a node finds it that knows nothing yet, and what
// closes it; only one is open at a time.
func BenchStart(b *testing.B, open func() (log messaging.Log, end func())) {
	topics := func(log messaging.Log) *messaging.Topics {
		t, err := messaging.NewTopics(log, messaging.Keyring{
			Names: bytes.Repeat([]byte{1}, 32), Seals: map[string][]byte{"k1": bytes.Repeat([]byte{2}, 32)}, Current: "k1",
		}, messaging.TopicsOptions{Logger: slog.New(slog.DiscardHandler), SnapshotEvery: 1000})
		if err != nil {
			b.Fatal(err)
		}
		return t
	}
	count := func(node *messaging.Topics) (n int) {
		p := messaging.Project(node, "tenant", "many", func(n *int, _ messaging.Item) { *n++ }, messaging.JSON[int]("count/1"))
		defer p.Close()
		if err := p.View(context.Background(), func(state *int) { n = *state }); err != nil {
			b.Fatal(err)
		}
		return n
	}
	log, end := open()
	node := topics(log)
	batch := make([]messaging.Message, 250)
	for i := range batch {
		batch[i].Body = fmt.Appendf(nil, "answer %d", i)
	}
	for n := 0; n < BenchStartEntries; n += len(batch) {
		if n == BenchStartEntries-2*len(batch) && count(node) != n { // and saves a snapshot
			b.Fatal("not all entries are counted")
		}
		if _, err := node.Append(b.Context(), "tenant", "many", batch...); err != nil {
			b.Fatal(err)
		}
	}
	end()
	for b.Loop() {
		b.StopTimer()
		log, end := open()
		b.StartTimer()
		began := time.Now()
		if n := count(topics(log)); n != BenchStartEntries {
			b.Fatalf("%d entries are counted", n)
		}
		if took := time.Since(began); took >= startLimit {
			b.Errorf("a node takes %s to start", took)
		}
		b.StopTimer()
		end()
		b.StartTimer()
	}
}
