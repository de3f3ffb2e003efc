package messagingtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

var discarding = []property{
	{"reading resumes at the floor and is refused below it", discardFloor},
	{"positions are not given out again when all is discarded", discardAll},
	{"an ID is forgotten with its entry", discardForgetsIDs},
	{"many entries go at once", discardMany},
	{"a reader on its way never meets a hole", func(t *testing.T, log messaging.Log) { discardUnderReaders(t, log) }},
}

func discardFloor(t *testing.T, log messaging.Log) {
	const n = 10
	want := fill(t, log, topic, "m", n)
	head := want[n-1].Pos
	for _, through := range []int{0, 3, 3, 1, 6} { // the one below the floor changes nothing
		discard(t, log, topic, want[through].Pos)
		discard(t, log, topic, messaging.Pos{})
		kept := max(through, 3)
		if through == 0 {
			kept = 0
		}
		floor := want[kept].Pos
		for i := range n {
			p, err := log.Read(within(t), topic, want[i].Pos, 100)
			back, errBack := log.ReadBack(within(t), topic, want[i].Pos, 100)
			if i < kept {
				isLost(t, "read below the floor", err, floor, head)
				isLost(t, "read back below the floor", errBack, floor, head)
				continue
			}
			if err != nil || errBack != nil {
				t.Fatalf("at %d with the floor at %d: %v, %v", i, kept, err, errBack)
			}
			same(t, "from the floor on", p.Entries, want[i+1:])
			same(t, "back to the floor", back.Entries, reversed(want[kept+1:max(i, kept+1)]))
			if p.More || back.More || p.Floor != floor || back.Floor != floor || p.Head != head || back.Head != head {
				t.Fatalf("at %d with the floor at %d: %+v, %+v", i, kept, p, back)
			}
		}
		_, err := log.Read(within(t), topic, messaging.Pos{}, 100)
		isLost(t, "read from the start", err, floor, head)
		same(t, "back from the head", allBack(t, log, topic, messaging.Pos{}, 2), reversed(want[kept+1:]))
	}
	_, err := log.Read(within(t), topic, messaging.Pos{Epoch: head.Epoch, Seq: 7, Tag: messaging.Tag{1}}, 1)
	isLost(t, "the floor with another tag", err, want[6].Pos, head)
}

func discardAll(t *testing.T, log messaging.Log) {
	var seq uint64
	for round := range 5 {
		want := fill(t, log, topic, fmt.Sprintf("r%d-", round), 4)
		for _, e := range want {
			if seq++; e.Pos.Seq != seq || e.Pos.Epoch != want[0].Pos.Epoch {
				t.Fatalf("round %d: an entry at %+v, want %d", round, e.Pos, seq)
			}
		}
		floor := want[3].Pos
		discard(t, log, topic, floor)
		p := page(t, log, topic, floor, 10)
		if len(p.Entries) != 0 || p.More || p.Floor != floor || p.Head != floor || headOf(t, log, topic) != floor {
			t.Fatalf("round %d: after discarding all: %+v", round, p)
		}
	}
}

func discardForgetsIDs(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 3)
	discard(t, log, topic, want[1].Pos)
	added, err := log.Append(within(t), topic, []messaging.Msg{msg("m1"), msg("m2")}, nil)
	if err != nil || added[0].Duplicate || added[0].Pos.Seq != 4 || !added[1].Duplicate || added[1].Pos != want[2].Pos {
		t.Fatalf("a discarded ID and a kept one: %+v, %v", added, err)
	}
}

func discardMany(t *testing.T, log messaging.Log) {
	at := put(t, log, topic, msgs("m", 3000)...)
	discard(t, log, topic, at[2899])
	if got := all(t, log, topic, at[2899], 1000); len(got) != 100 || got[0].Pos != at[2900] {
		t.Fatalf("%d entries are left", len(got))
	}
	again := put(t, log, topic, msgs("m", 2900)...)
	if again[0].Seq != 3001 || again[2899].Seq != 5900 {
		t.Fatalf("the same IDs again are at %d to %d", again[0].Seq, again[2899].Seq)
	}
	drop(t, log, topic)
	if at = put(t, log, topic, msgs("m", 3000)...); at[0].Seq != 1 {
		t.Fatalf("after a drop the first is at %d", at[0].Seq)
	}
}

// discardUnderReaders has readers catch up while entries are added at one end
// and discarded at the other: a reader either gets the very next entry or is
// told that its position is lost. Readers are on all the nodes.
func discardUnderReaders(t *testing.T, nodes ...messaging.Log) {
	const n = 120
	ctx, stop := context.WithCancel(within(t))
	defer stop()
	log := nodes[0]
	put(t, log, topic, msg("first"))
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		var at []messaging.Pos
		for i := range n {
			added, err := log.Append(ctx, topic, msgs(fmt.Sprintf("m%d-", i), 3), nil)
			if err != nil {
				t.Errorf("append: %v", err)
				return
			}
			at = append(at, added[2].Pos)
			if i >= 10 && i%5 == 0 {
				if err := log.Discard(ctx, topic, at[i-10]); err != nil {
					t.Errorf("discard: %v", err)
					return
				}
			}
		}
	})
	for r := range 4 {
		wg.Go(func() {
			var at messaging.Pos
			for {
				p, err := nodes[r%len(nodes)].Read(ctx, topic, at, 1+r)
				if ctx.Err() != nil {
					return
				}
				if lost, ok := errors.AsType[*messaging.PosLostError](err); ok {
					if lost.Floor.Seq <= at.Seq {
						t.Errorf("at %d, lost with the floor at %d", at.Seq, lost.Floor.Seq)
						return
					}
					at = lost.Floor
					continue
				}
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				for _, e := range p.Entries {
					if e.Pos.Seq != at.Seq+1 {
						t.Errorf("after %d comes %d", at.Seq, e.Pos.Seq)
						return
					}
					at = e.Pos
				}
			}
		})
	}
	wg.Wait()
}
