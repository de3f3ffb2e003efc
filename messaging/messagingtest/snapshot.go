package messagingtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

var snapshots = []property{
	{"what was saved is loaded", snapshotRoundTrip},
	{"one of many savers wins", func(t *testing.T, log messaging.Log) { snapshotOneWinner(t, log) }},
	{"a snapshot never goes back", snapshotForward},
	{"it stays when what is behind it is discarded", snapshotAtFloor},
	{"savers of an earlier epoch are refused", snapshotOldEpoch},
	{"racing savers leave it going forward", snapshotRace},
}

func save(t *testing.T, log messaging.Log, expect messaging.Rev, at messaging.Pos, data string) messaging.Rev {
	t.Helper()
	rev, err := log.SaveSnapshot(within(t), topic, expect, messaging.Snapshot{At: at, Data: []byte(data)})
	if err != nil {
		t.Fatalf("save at %d: %v", at.Seq, err)
	}
	return rev
}

func isSaved(t *testing.T, log messaging.Log, rev messaging.Rev, at messaging.Pos, data string) {
	t.Helper()
	s, got, err := log.LoadSnapshot(within(t), topic)
	if err != nil || got != rev || s.At != at || string(s.Data) != data {
		t.Fatalf("loaded %q at %+v, rev %d, %v; want %q at %+v, rev %d", s.Data, s.At, got, err, data, at, rev)
	}
}

func snapshotRoundTrip(t *testing.T, log messaging.Log) {
	isSaved(t, log, 0, messaging.Pos{}, "")
	want := fill(t, log, topic, "m", 4)
	isSaved(t, log, 0, messaging.Pos{}, "")
	var rev messaging.Rev
	for i, data := range []string{"", "a\x00\xff", string(bytes.Repeat([]byte{0, 1, 2, 250}, messaging.MaxBody/2)), "short again"} {
		next := save(t, log, rev, want[i].Pos, data)
		if next == 0 || next == rev {
			t.Fatalf("revision %d after %d", next, rev)
		}
		rev = next
		isSaved(t, log, rev, want[i].Pos, data)
	}
	data := []byte("mine")
	rev, err := log.SaveSnapshot(within(t), topic, rev, messaging.Snapshot{At: want[3].Pos, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	isSaved(t, log, rev, want[3].Pos, "mine")
}

// snapshotOneWinner has many callers save a snapshot, through all the nodes.
func snapshotOneWinner(t *testing.T, nodes ...messaging.Log) {
	want := fill(t, nodes[0], topic, "m", 10)
	var rev messaging.Rev
	for round := range 10 {
		var won atomic.Int32
		var next atomic.Uint64
		together(t, 16, func(ctx context.Context, i int) error {
			got, err := nodes[i%len(nodes)].SaveSnapshot(ctx, topic, rev, messaging.Snapshot{At: want[round].Pos, Data: fmt.Append(nil, i)})
			switch {
			case err == nil:
				won.Add(1)
				next.Store(uint64(got))
			case !errors.Is(err, messaging.ErrConflict):
				return err
			}
			return nil
		})
		if won.Load() != 1 {
			t.Fatalf("round %d has %d winners", round, won.Load())
		}
		rev = messaging.Rev(next.Load())
		if _, got, err := nodes[round%len(nodes)].LoadSnapshot(within(t), topic); err != nil || got != rev {
			t.Fatalf("round %d: revision %d, %v; want the winner's %d", round, got, err, rev)
		}
	}
}

func snapshotForward(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 3)
	rev := save(t, log, 0, want[1].Pos, "two")
	for _, c := range []struct {
		expect messaging.Rev
		at     messaging.Pos
	}{{rev, want[0].Pos}, {0, want[2].Pos}, {rev + 1, want[2].Pos}} {
		if _, err := log.SaveSnapshot(within(t), topic, c.expect, messaging.Snapshot{At: c.at}); !errors.Is(err, messaging.ErrConflict) {
			t.Fatalf("save at %d expecting %d: %v, want ErrConflict", c.at.Seq, c.expect, err)
		}
		isSaved(t, log, rev, want[1].Pos, "two")
	}
	rev = save(t, log, rev, want[1].Pos, "two, better")
	isSaved(t, log, rev, want[1].Pos, "two, better")
}

func snapshotAtFloor(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 4)
	rev := save(t, log, 0, want[1].Pos, "two")
	discard(t, log, topic, want[1].Pos)
	isSaved(t, log, rev, want[1].Pos, "two")
	same(t, "behind the snapshot", all(t, log, topic, want[1].Pos, 10), want[2:])
	rev = save(t, log, rev, want[1].Pos, "two, at the floor")
	discard(t, log, topic, want[3].Pos)
	isSaved(t, log, rev, want[1].Pos, "two, at the floor")
}

func snapshotOldEpoch(t *testing.T, log messaging.Log) {
	old := fill(t, log, topic, "m", 3)
	rev := save(t, log, 0, old[2].Pos, "old")
	drop(t, log, topic)
	want := fill(t, log, topic, "m", 3)
	for _, expect := range []messaging.Rev{0, rev} {
		_, err := log.SaveSnapshot(within(t), topic, expect, messaging.Snapshot{At: old[2].Pos, Data: []byte("late")})
		isLost(t, "a late save", err, messaging.Pos{}, want[2].Pos)
	}
	isSaved(t, log, 0, messaging.Pos{}, "")
	rev = save(t, log, 0, want[0].Pos, "new")
	isSaved(t, log, rev, want[0].Pos, "new")
}

func snapshotRace(t *testing.T, log messaging.Log) {
	const savers, rounds = 16, 10
	want := fill(t, log, topic, "m", savers*rounds)
	ctx, stop := context.WithCancel(within(t))
	defer stop()
	var watcher sync.WaitGroup
	watcher.Go(func() {
		var last messaging.Pos
		var lastRev messaging.Rev
		for {
			s, rev, err := log.LoadSnapshot(ctx, topic)
			if ctx.Err() != nil {
				return
			}
			if err != nil || s.At.Seq < last.Seq || rev < lastRev {
				t.Errorf("from %d (rev %d) to %d (rev %d), %v", last.Seq, lastRev, s.At.Seq, rev, err)
				return
			}
			if rev != 0 && string(s.Data) != fmt.Sprint(s.At.Seq) {
				t.Errorf("the snapshot at %d says %q", s.At.Seq, s.Data)
				return
			}
			last, lastRev = s.At, rev
		}
	})
	together(t, savers, func(ctx context.Context, i int) error {
		for r := range rounds {
			_, rev, err := log.LoadSnapshot(ctx, topic)
			if err != nil {
				return err
			}
			at := want[r*savers+i].Pos
			_, err = log.SaveSnapshot(ctx, topic, rev, messaging.Snapshot{At: at, Data: fmt.Append(nil, at.Seq)})
			if err != nil && !errors.Is(err, messaging.ErrConflict) {
				return err
			}
		}
		return nil
	})
	stop()
	watcher.Wait()
}
