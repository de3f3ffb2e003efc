package messagingtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

var concurrent = []property{
	{"all readers see one sequence, from a random moment on, and one writer's order is kept",
		func(t *testing.T, log messaging.Log) { oneSequence(t, log) }},
	{"writers of many topics do not disturb one another", manyTopics},
}

// oneSequence has 16 writers, and readers that start at random moments, some
// from the start and some from a head, and follow by pages, on all the nodes.
func oneSequence(t *testing.T, nodes ...messaging.Log) {
	const writers, each, readers = 16, 25, 8
	ctx := within(t)
	var wg sync.WaitGroup
	seen := make([][]messaging.Entry, readers)
	begin := make([]chan struct{}, readers)
	for r := range readers {
		begin[r] = make(chan struct{})
		wg.Go(func() {
			<-begin[r]
			entries, err := follow(ctx, nodes[r/2%len(nodes)], r%2 == 0, 1+r, writers*each)
			if err != nil {
				t.Errorf("reader %d: %v", r, err)
			}
			seen[r] = entries
		})
	}
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			release := sync.OnceFunc(func() {
				if w < readers {
					close(begin[w])
				}
			})
			defer release()
			moment := rand.N(each)
			for i := range each {
				if i == moment {
					release()
				}
				if _, err := nodes[w%len(nodes)].Append(ctx, topic, []messaging.Msg{msg(fmt.Sprintf("w%d-%d", w, i))}, nil); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	writing.Wait()
	wg.Wait()
	if t.Failed() {
		return
	}
	whole := all(t, nodes[0], topic, messaging.Pos{}, 1000)
	if len(whole) != writers*each {
		t.Fatalf("%d entries of %d", len(whole), writers*each)
	}
	next := map[int]int{}
	for i, e := range whole {
		var w, k int
		if _, err := fmt.Sscanf(e.ID, "w%d-%d", &w, &k); err != nil || e.Pos.Seq != uint64(i+1) || next[w] != k {
			t.Fatalf("entry %d is %q at %d, want the writer's %d", i, e.ID, e.Pos.Seq, next[w])
		}
		next[w]++
	}
	for r, entries := range seen {
		if len(entries) > 0 {
			same(t, fmt.Sprint("reader ", r), entries, whole[entries[0].Pos.Seq-1:])
		}
		if r%2 == 0 && len(entries) != len(whole) {
			t.Fatalf("reader %d, from the start, has %d entries", r, len(entries))
		}
	}
}

// follow reads from the start, or from the head, until the entry with the
// sequence number last, woken by hints and by a poll.
func follow(ctx context.Context, log messaging.Log, fromStart bool, limit int, last uint64) ([]messaging.Entry, error) {
	var at messaging.Pos
	if !fromStart {
		heads, err := log.Heads(ctx, []messaging.Topic{topic})
		if err != nil {
			return nil, err
		}
		at = heads[0]
	}
	hints, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	topics, _ := listen(hints, &wg, log)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	var entries []messaging.Entry
	for {
		p, err := log.Read(ctx, topic, at, limit)
		if err != nil {
			return entries, err
		}
		entries = append(entries, p.Entries...)
		if len(p.Entries) > 0 {
			at = p.Entries[len(p.Entries)-1].Pos
		}
		if at.Seq >= last {
			return entries, nil
		}
		if p.More {
			continue
		}
		select {
		case <-topics:
		case <-poll.C:
		case <-ctx.Done():
			return entries, ctx.Err()
		}
	}
}

func manyTopics(t *testing.T, log messaging.Log) {
	const writers, each = 16, 20
	names := make([]messaging.Topic, writers)
	for i := range names {
		names[i] = messaging.Topic(fmt.Sprint("topic", i))
	}
	want := make([][]messaging.Entry, writers)
	together(t, writers, func(ctx context.Context, i int) error {
		for _, m := range msgs("m", each) { // the same IDs in each topic
			added, err := log.Append(ctx, names[i], []messaging.Msg{m}, nil)
			if err != nil {
				return err
			}
			want[i] = append(want[i], messaging.Entry{Pos: added[0].Pos, ID: m.ID, Body: m.Body})
		}
		return nil
	})
	for i, name := range names {
		same(t, string(name), all(t, log, name, messaging.Pos{}, 7), want[i])
	}
}
