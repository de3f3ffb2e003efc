package messagingtest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

var dropping = []property{
	{"a dropped topic is as if nobody had written to it", dropEmpties},
	{"the next append starts a new epoch", dropNewEpoch},
	{"readers and writers on their way are told", dropUnderReaders},
}

func dropEmpties(t *testing.T, log messaging.Log) {
	drop(t, log, topic) // nothing there: no error
	want := fill(t, log, topic, "m", 5)
	if _, err := log.SaveSnapshot(within(t), topic, 0, messaging.Snapshot{At: want[3].Pos, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	discard(t, log, topic, want[2].Pos)
	for range 2 {
		drop(t, log, topic)
		readEmpty(t, log)
		if s, rev, err := log.LoadSnapshot(within(t), topic); err != nil || rev != 0 || !s.At.IsZero() || len(s.Data) != 0 {
			t.Fatalf("the snapshot is left: %+v, %d, %v", s, rev, err)
		}
		for _, e := range want {
			refuse(t, log, "a position of the dropped topic", e.Pos, messaging.Pos{}, messaging.Pos{})
		}
	}
}

func dropNewEpoch(t *testing.T, log messaging.Log) {
	seen := map[uint64]bool{}
	var old []messaging.Entry
	for range 5 {
		want := fill(t, log, topic, "m", 3) // the same IDs each time: forgotten with the topic
		if seen[want[0].Pos.Epoch] || want[0].Pos.Epoch == 0 || want[0].Pos.Seq != 1 {
			t.Fatalf("the first entry of a new epoch is at %+v", want[0].Pos)
		}
		seen[want[0].Pos.Epoch] = true
		for _, e := range old {
			refuse(t, log, "a position of an earlier epoch", e.Pos, messaging.Pos{}, want[2].Pos)
		}
		old = append(old, want...)
		drop(t, log, topic)
	}
}

// dropUnderReaders drops a topic over and over under readers: what a reader
// gets is the next entry of the epoch it is in, or the news that it is lost.
func dropUnderReaders(t *testing.T, log messaging.Log) {
	ctx, stop := context.WithCancel(within(t))
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		for range 40 {
			if _, err := log.Append(ctx, topic, msgs("m", 10), nil); err != nil {
				t.Errorf("append: %v", err)
				return
			}
			if err := log.Drop(ctx, topic); err != nil {
				t.Errorf("drop: %v", err)
				return
			}
		}
	})
	for range 3 {
		wg.Go(func() {
			var at messaging.Pos
			for {
				p, err := log.Read(ctx, topic, at, 4)
				if ctx.Err() != nil {
					return
				}
				if _, ok := errors.AsType[*messaging.PosLostError](err); ok && !at.IsZero() {
					at = messaging.Pos{}
					continue
				}
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				for _, e := range p.Entries {
					if e.Pos.Seq != at.Seq+1 || at.Epoch != 0 && e.Pos.Epoch != at.Epoch {
						t.Errorf("after %+v comes %+v", at, e.Pos)
						return
					}
					at = e.Pos
				}
			}
		})
	}
	wg.Wait()
}
