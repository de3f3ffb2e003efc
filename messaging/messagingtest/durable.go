package messagingtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// durable is what a back end that keeps things promises on top.
var durable = []struct {
	name string
	hold func(t *testing.T, h Harness)
}{
	{"all that was acknowledged is there after a restart", reopenKeeps},
	{"positions go on after a restart, even of an empty topic", reopenGoesOn},
	{"what was dropped stays dropped", reopenDropped},
	{"a restart under load keeps what was acknowledged", reopenUnderLoad},
}

func reopenKeeps(t *testing.T, h Harness) {
	log := h.Open(t)
	want := fill(t, log, topic, "m", 12)
	discard(t, log, topic, want[3].Pos)
	rev := save(t, log, 0, want[5].Pos, "state")
	for range 2 {
		log = h.Reopen(t, log)
		p := page(t, log, topic, want[3].Pos, 100)
		same(t, "after a restart", p.Entries, want[4:])
		if p.Floor != want[3].Pos || p.Head != want[11].Pos {
			t.Fatalf("floor %+v, head %+v", p.Floor, p.Head)
		}
		_, err := log.Read(within(t), topic, want[2].Pos, 10)
		isLost(t, "below the floor", err, want[3].Pos, want[11].Pos)
		isSaved(t, log, rev, want[5].Pos, "state")
		added, err := log.Append(within(t), topic, msgs("m", 12)[8:], &messaging.Pos{})
		if err != nil || !added[0].Duplicate || added[0].Pos != want[8].Pos {
			t.Fatalf("IDs are forgotten: %+v, %v", added, err)
		}
	}
}

func reopenGoesOn(t *testing.T, h Harness) {
	log := h.Open(t)
	var seq, epoch uint64
	for round := range 4 {
		want := fill(t, log, topic, fmt.Sprintf("r%d-", round), 3)
		if round > 0 && want[0].Pos.Epoch != epoch || want[0].Pos.Seq != seq+1 {
			t.Fatalf("round %d begins at %+v after %d of epoch %d", round, want[0].Pos, seq, epoch)
		}
		seq, epoch = want[2].Pos.Seq, want[2].Pos.Epoch
		discard(t, log, topic, want[2].Pos)
		log = h.Reopen(t, log)
		if head := headOf(t, log, topic); head != want[2].Pos {
			t.Fatalf("round %d: the head is %+v, was %+v", round, head, want[2].Pos)
		}
	}
}

func reopenDropped(t *testing.T, h Harness) {
	log := h.Open(t)
	want := fill(t, log, topic, "m", 3)
	save(t, log, 0, want[2].Pos, "state")
	drop(t, log, topic)
	log = h.Reopen(t, log)
	readEmpty(t, log)
	refuse(t, log, "a position from before", want[2].Pos, messaging.Pos{}, messaging.Pos{})
	again := fill(t, log, topic, "m", 3)
	if again[0].Pos.Epoch == want[0].Pos.Epoch {
		t.Fatal("the epoch came back")
	}
	refuse(t, log, "a position from before", want[2].Pos, messaging.Pos{}, again[2].Pos)
}

func reopenUnderLoad(t *testing.T, h Harness) {
	log := h.Open(t)
	var mu sync.Mutex
	acked := map[string]messaging.Pos{}
	for round := range 3 {
		ctx, stop := context.WithCancel(within(t))
		enough := make(chan struct{})
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := 0; ; i++ {
					m := msg(fmt.Sprintf("r%d-w%d-%d", round, w, i))
					added, err := log.Append(ctx, topic, []messaging.Msg{m}, nil)
					if err != nil {
						if !errors.Is(err, messaging.ErrClosed) && !errors.Is(err, messaging.ErrUncertain) && ctx.Err() == nil {
							t.Errorf("append: %v", err)
						}
						return
					}
					mu.Lock()
					if acked[m.ID] = added[0].Pos; len(acked) == 100*(round+1) {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		next := h.Reopen(t, log)
		stop()
		wg.Wait()
		log = next
		at := map[string]messaging.Pos{}
		for i, e := range all(t, log, topic, messaging.Pos{}, 1000) {
			if e.Pos.Seq != uint64(i+1) {
				t.Fatalf("entry %d is at %d", i, e.Pos.Seq)
			}
			at[e.ID] = e.Pos
		}
		for id, pos := range acked {
			if at[id] != pos {
				t.Fatalf("%s was acknowledged at %+v and is at %+v", id, pos, at[id])
			}
		}
	}
}
