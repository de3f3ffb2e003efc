package messagingtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
)

var appending = []property{
	{"what was appended is read at once", readYourAppend},
	{"the same ID again is one entry at one position", sameID},
	{"the same ID from many callers is one entry", func(t *testing.T, log messaging.Log) { sameIDConcurrently(t, log) }},
	{"an append given up and repeated is one entry", sameIDAfterGivingUp},
	{"a batch is all or nothing", batchWhole},
	{"nothing appended is nothing changed", emptyBatch},
	{"bodies come back byte for byte", bodies},
	{"slices are not shared with the caller", slicesApart},
}

func readYourAppend(t *testing.T, log messaging.Log) {
	var want []messaging.Entry
	for i := range 30 {
		m := msg(fmt.Sprint("m", i))
		pos := put(t, log, topic, m)[0]
		if pos.Seq != uint64(i+1) || pos.Epoch == 0 || pos.Tag != m.Tag {
			t.Fatalf("append %d is at %+v", i, pos)
		}
		want = append(want, messaging.Entry{Pos: pos, ID: m.ID, Body: m.Body})
		p := page(t, log, topic, messaging.Pos{}, 100)
		same(t, "after the append", p.Entries, want)
		if p.Head != pos || headOf(t, log, topic) != pos {
			t.Fatalf("the head is %+v, want %+v", p.Head, pos)
		}
	}
}

func sameID(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 3)
	again := func(what string, batch []messaging.Msg, wantPos ...messaging.Pos) {
		t.Helper()
		added, err := log.Append(within(t), topic, batch, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for i, a := range added {
			if !a.Duplicate || a.Pos != wantPos[i] {
				t.Fatalf("%s: %d: %+v, want a duplicate at %+v", what, i, a, wantPos[i])
			}
		}
	}
	again("one again", []messaging.Msg{msg("m1")}, want[1].Pos)
	again("with another body and tag", []messaging.Msg{{ID: "m1", Tag: messaging.Tag{9}, Body: []byte("other")}}, want[1].Pos)
	again("two, the other way round", []messaging.Msg{msg("m2"), msg("m0")}, want[2].Pos, want[0].Pos)
	same(t, "after the repetitions", all(t, log, topic, messaging.Pos{}, 10), want)

	added, err := log.Append(within(t), topic, []messaging.Msg{msg("m0"), msg("new"), msg("new"), msg("m2")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !added[0].Duplicate || added[1].Duplicate || !added[2].Duplicate || !added[3].Duplicate ||
		added[1].Pos != added[2].Pos || added[1].Pos.Seq != 4 {
		t.Fatalf("old and new in one batch: %+v", added)
	}
	want = append(want, messaging.Entry{Pos: added[1].Pos, ID: "new", Body: msg("new").Body})
	same(t, "after the mixed batch", all(t, log, topic, messaging.Pos{}, 10), want)
}

// sameIDConcurrently has many callers append one ID, through all the nodes.
func sameIDConcurrently(t *testing.T, nodes ...messaging.Log) {
	for round := range 10 {
		m := msg(fmt.Sprint("round", round))
		added := make([]messaging.Appended, 16)
		together(t, len(added), func(ctx context.Context, i int) error {
			got, err := nodes[i%len(nodes)].Append(ctx, topic, []messaging.Msg{m}, nil)
			if err == nil {
				added[i] = got[0]
			}
			return err
		})
		first := 0
		for _, a := range added {
			if a.Pos != added[0].Pos {
				t.Fatalf("one ID at %+v and at %+v", added[0].Pos, a.Pos)
			}
			if !a.Duplicate {
				first++
			}
		}
		if first != 1 {
			t.Fatalf("%d callers were told that they were the first", first)
		}
		if p := page(t, nodes[0], topic, messaging.Pos{}, 100); len(p.Entries) != round+1 {
			t.Fatalf("%d entries after round %d: %s", len(p.Entries), round, ids(p.Entries))
		}
	}
}

func sameIDAfterGivingUp(t *testing.T, log messaging.Log) {
	const n = 60
	for i := range n {
		ctx, cancel := context.WithCancel(within(t))
		var wg sync.WaitGroup
		wg.Go(cancel)
		m := msg(fmt.Sprint("m", i))
		added, err := log.Append(ctx, topic, []messaging.Msg{m}, nil)
		wg.Wait()
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, messaging.ErrUncertain) {
			t.Fatalf("an append given up: %v", err)
		}
		again := put(t, log, topic, m)
		if err == nil && again[0] != added[0].Pos {
			t.Fatalf("repeated at %+v, was at %+v", again[0], added[0].Pos)
		}
		if again[0].Seq != uint64(i+1) {
			t.Fatalf("message %d is at %d", i, again[0].Seq)
		}
	}
	if got := all(t, log, topic, messaging.Pos{}, 100); len(got) != n {
		t.Fatalf("%d entries of %d: %s", len(got), n, ids(got))
	}
}

func batchWhole(t *testing.T, log messaging.Log) {
	want := fill(t, log, topic, "m", 2)
	for what, bad := range map[string]struct {
		msg messaging.Msg
		err error
	}{
		"too large": {messaging.Msg{ID: "large", Body: make([]byte, messaging.MaxBody+1)}, messaging.ErrTooLarge},
		"no ID":     {messaging.Msg{Body: []byte("x")}, messaging.ErrNoID},
	} {
		for at := range 3 {
			batch := msgs("batch", 3)
			batch[at] = bad.msg
			if _, err := log.Append(within(t), topic, batch, nil); !errors.Is(err, bad.err) {
				t.Fatalf("a batch with one %s: %v, want %v", what, err, bad.err)
			}
			same(t, "after a refused batch", all(t, log, topic, messaging.Pos{}, 10), want)
		}
	}

	// Batches of many writers are all there, each in order and in one piece.
	const writers, size = 16, 5
	together(t, writers, func(ctx context.Context, i int) error {
		_, err := log.Append(ctx, "batches", msgs(fmt.Sprintf("w%d-", i), size), nil)
		return err
	})
	got := all(t, log, "batches", messaging.Pos{}, 7)
	if len(got) != writers*size {
		t.Fatalf("%d entries of %d", len(got), writers*size)
	}
	for i, e := range got {
		var w, k int
		if _, err := fmt.Sscanf(e.ID, "w%d-%d", &w, &k); err != nil || k != i%size {
			t.Fatalf("entry %d is %q: a batch is torn: %s", i, e.ID, ids(got))
		}
	}
}

func emptyBatch(t *testing.T, log messaging.Log) {
	for range 2 {
		added, err := log.Append(within(t), topic, nil, nil)
		if err != nil || len(added) != 0 {
			t.Fatalf("nothing appended: %v, %v", added, err)
		}
		fill(t, log, topic, "m", 1)
		if head := headOf(t, log, topic); head.Seq != 1 {
			t.Fatalf("the head is %+v", head)
		}
	}
}

func bodies(t *testing.T, log messaging.Log) {
	random := make([]byte, messaging.MaxBody)
	for i := range random {
		random[i] = byte(i * i >> 3)
	}
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	var want []messaging.Entry
	for i, body := range [][]byte{nil, {}, {0}, []byte("a\x00b\x00"), {0xff, 0xfe, 0xc0, 0x80}, every[:], []byte("Søren Ó Briain 🔑"), []byte("' \" \\ \r\n$1 ?"), random} {
		m := messaging.Msg{ID: fmt.Sprint("id ", i, " Ó:*%_'"), Tag: messaging.Tag(every[i*8:]), Body: body}
		want = append(want, messaging.Entry{Pos: put(t, log, topic, m)[0], ID: m.ID, Body: body})
	}
	same(t, "read", all(t, log, topic, messaging.Pos{}, 3), want)
	same(t, "read back", allBack(t, log, topic, messaging.Pos{}, 3), reversed(want))
}

func slicesApart(t *testing.T, log messaging.Log) {
	m := msg("m")
	m.Body = bytes.Clone(m.Body)
	put(t, log, topic, m)
	clear(m.Body)
	clear(page(t, log, topic, messaging.Pos{}, 1).Entries[0].Body)
	if got := page(t, log, topic, messaging.Pos{}, 1).Entries[0].Body; !bytes.Equal(got, msg("m").Body) {
		t.Fatalf("the stored body became %q", got)
	}
}

// together runs n callers that start at the same moment and fails on the first
// error of any.
func together(t *testing.T, n int, call func(ctx context.Context, i int) error) {
	t.Helper()
	ctx := within(t)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			if err := call(ctx, i); err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}
