package messaging_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// fill makes a topic of so many entries with a snapshot near its end.
func fill(t testing.TB, log messaging.Log, entries int) {
	t.Helper()
	node := newNode(t, log, messaging.TopicsOptions{SnapshotEvery: 100})
	batch := make([]messaging.Message, 250)
	for i := range batch {
		batch[i].Body = fmt.Appendf(nil, "entry %d", i)
	}
	for n := 0; n < entries; n += len(batch) {
		if _, err := node.Append(context.Background(), "t", "count", batch...); err != nil {
			t.Fatal(err)
		}
	}
	p := messaging.Project(node, "t", "count", foldSum, messaging.JSON[sum]("sum/1"))
	defer p.Close()
	if err := p.View(context.Background(), func(*sum) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Append(context.Background(), "t", "count", batch[:50]...); err != nil {
		t.Fatal(err)
	}
}

// start has a new node take up the topic.
func start(t testing.TB, log messaging.Log, want int) {
	t.Helper()
	p := messaging.Project(newNode(t, log, messaging.TopicsOptions{}), "t", "count", foldSum, messaging.JSON[sum]("sum/1"))
	defer p.Close()
	if err := p.View(context.Background(), func(s *sum) {
		if s.N != want {
			t.Errorf("it counts %d of %d", s.N, want)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkProjectionStart is how long a node takes until it has the state of a
// topic of 10⁶ entries.
func BenchmarkProjectionStart(b *testing.B) {
	log := newLog(b)
	fill(b, log, 1_000_000)
	for b.Loop() {
		start(b, log, 1_000_050)
	}
}
