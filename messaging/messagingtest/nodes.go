package messagingtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

// nodes is what a back end that several processes share promises on top.
var nodes = []struct {
	name string
	hold func(t *testing.T, a, b messaging.Log)
}{
	{"all readers of all nodes see one sequence", func(t *testing.T, a, b messaging.Log) { oneSequence(t, a, b) }},
	{"the same ID through both is one entry", func(t *testing.T, a, b messaging.Log) { sameIDConcurrently(t, a, b) }},
	{"one of many wins behind a head", func(t *testing.T, a, b messaging.Log) { ifHeadOneWinner(t, a, b) }},
	{"one of many savers wins", func(t *testing.T, a, b messaging.Log) { snapshotOneWinner(t, a, b) }},
	{"a reader on its way never meets a hole", func(t *testing.T, a, b messaging.Log) { discardUnderReaders(t, a, b) }},
	{"what one did the other sees at once", seenAtOnce},
	{"a topic begun by many at once has one epoch", oneEpoch},
	{"hints reach the others", hintsAcross},
	{"closing one leaves the other", closeOne},
}

func seenAtOnce(t *testing.T, a, b messaging.Log) {
	want := fill(t, a, topic, "m", 6)
	same(t, "on the other node", all(t, b, topic, messaging.Pos{}, 4), want)
	added, err := b.Append(within(t), topic, []messaging.Msg{msg("m2")}, nil)
	if err != nil || !added[0].Duplicate || added[0].Pos != want[2].Pos {
		t.Fatalf("an ID of the other node's: %+v, %v", added, err)
	}
	discard(t, b, topic, want[2].Pos)
	_, err = a.Read(within(t), topic, want[1].Pos, 10)
	isLost(t, "below the other node's floor", err, want[2].Pos, want[5].Pos)
	rev := save(t, a, 0, want[3].Pos, "state")
	isSaved(t, b, rev, want[3].Pos, "state")
	if _, err := b.SaveSnapshot(within(t), topic, 0, messaging.Snapshot{At: want[4].Pos}); !errors.Is(err, messaging.ErrConflict) {
		t.Fatalf("a save that does not know the other's: %v, want ErrConflict", err)
	}
	drop(t, b, topic)
	readEmpty(t, a)
	refuse(t, a, "a position of before the other's drop", want[4].Pos, messaging.Pos{}, messaging.Pos{})
	if again := put(t, a, topic, msg("m0"))[0]; again.Epoch == want[0].Pos.Epoch || again.Seq != 1 {
		t.Fatalf("after the other's drop the first is at %+v", again)
	}
}

func oneEpoch(t *testing.T, a, b messaging.Log) {
	logs := []messaging.Log{a, b}
	for round := range 10 {
		name := messaging.Topic(fmt.Sprint("begun", round))
		at := make([]messaging.Pos, 8)
		together(t, len(at), func(ctx context.Context, i int) error {
			added, err := logs[i%2].Append(ctx, name, []messaging.Msg{msg(fmt.Sprint(i))}, nil)
			if err == nil {
				at[i] = added[0].Pos
			}
			return err
		})
		seen := map[uint64]bool{}
		for _, pos := range at {
			if pos.Epoch != at[0].Epoch || pos.Seq < 1 || pos.Seq > uint64(len(at)) || seen[pos.Seq] {
				t.Fatalf("begun at %+v", at)
			}
			seen[pos.Seq] = true
		}
	}
}

func hintsAcross(t *testing.T, a, b messaging.Log) {
	ctx, stop := context.WithCancel(within(t))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	topics, _ := listen(ctx, &wg, b)
	for _, name := range []messaging.Topic{"a", "a.b", ">", "\x00\xff ,\n", messaging.Topic(make([]byte, 200))} {
		hinted(t, topics, name, func(try int) { put(t, a, name, msg(fmt.Sprint(try))) })
		hinted(t, topics, name, func(int) { drop(t, a, name) })
	}
}

func closeOne(t *testing.T, a, b messaging.Log) {
	want := fill(t, a, topic, "m", 3)
	closeLog(t, a)
	same(t, "after the other was closed", all(t, b, topic, messaging.Pos{}, 10), want)
	if at := put(t, b, topic, msg("n"))[0]; at.Seq != 4 || at.Epoch != want[0].Pos.Epoch {
		t.Fatalf("after the other was closed, appended at %+v", at)
	}
}
