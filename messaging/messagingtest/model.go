package messagingtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
)

var model = []property{
	{"any sequence of calls answers as the log in memory does", asTheModel},
}

// pair is a position in the log under test and what it is in the model: the
// same but for its epoch.
type pair struct{ log, model messaging.Pos }

// twin makes the same calls to the log under test and to the model.
type twin struct {
	ctx        context.Context
	log, model messaging.Log
	name       func(i int) messaging.Topic
	known      []pair
	epochs     map[uint64]uint64 // of the log under test → of the model
	ids        int
}

func asTheModel(t *testing.T, log messaging.Log) {
	ctx := t.Context() // many calls: how long they take together says nothing
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		oracle := memory.New()
		defer func() { _ = oracle.Close() }() // which cannot fail
		w := &twin{ctx: ctx, log: log, model: oracle, known: []pair{{}}, epochs: map[uint64]uint64{0: 0}}
		mine := round
		w.name = func(i int) messaging.Topic { return messaging.Topic(fmt.Sprintf("model%d-%d", mine, i)) }
		rt.Repeat(map[string]func(*rapid.T){
			"append":   w.append,
			"read":     w.read,
			"discard":  w.discard,
			"drop":     w.drop,
			"snapshot": w.snapshot,
			"":         w.heads,
		})
	})
}

func (w *twin) topic(rt *rapid.T) messaging.Topic {
	return w.name(rapid.IntRange(0, 1).Draw(rt, "topic"))
}

// pos draws a position that was given out at some time, or one made from it.
func (w *twin) pos(rt *rapid.T) pair {
	p := rapid.SampledFrom(w.known).Draw(rt, "position")
	switch rapid.IntRange(0, 9).Draw(rt, "bend") {
	case 0:
		p.log.Seq++
		p.model.Seq++
	case 1:
		p.log.Tag[0]++
		p.model.Tag[0]++
	}
	return p
}

func (w *twin) append(rt *rapid.T) {
	name := w.topic(rt)
	batch := make([]messaging.Msg, rapid.IntRange(1, 4).Draw(rt, "size"))
	for i := range batch {
		w.ids++
		id := w.ids // mostly new
		if rapid.IntRange(0, 3).Draw(rt, "old") == 0 {
			id = rapid.IntRange(1, w.ids).Draw(rt, "id")
		}
		batch[i] = messaging.Msg{ID: fmt.Sprint(id), Tag: messaging.Tag{byte(w.ids)}, Body: fmt.Append(nil, w.ids)}
	}
	var ifLog, ifModel *messaging.Pos
	switch rapid.IntRange(0, 2).Draw(rt, "ifHead") {
	case 1:
		p := w.pos(rt)
		ifLog, ifModel = &p.log, &p.model
	case 2:
		ifLog, ifModel = &w.twinHead(rt, name)[0], &w.twinHead(rt, name)[1]
	}
	got, err := w.log.Append(w.ctx, name, batch, ifLog)
	want, wantErr := w.model.Append(w.ctx, name, batch, ifModel)
	w.alike(rt, err, wantErr)
	if len(got) != len(want) {
		rt.Fatalf("%d answers, want %d", len(got), len(want))
	}
	for i := range got {
		if !want[i].Duplicate {
			w.epochs[got[i].Pos.Epoch] = want[i].Pos.Epoch
			w.known = append(w.known, pair{got[i].Pos, want[i].Pos})
		}
		w.equal(rt, "appended at", got[i].Pos, want[i].Pos)
		if got[i].Duplicate != want[i].Duplicate {
			rt.Fatalf("duplicate: %v, want %v", got[i].Duplicate, want[i].Duplicate)
		}
	}
}

func (w *twin) twinHead(rt *rapid.T, name messaging.Topic) []messaging.Pos {
	var both []messaging.Pos
	for _, log := range []messaging.Log{w.log, w.model} {
		heads, err := log.Heads(w.ctx, []messaging.Topic{name})
		if err != nil {
			rt.Fatal(err)
		}
		both = append(both, heads[0])
	}
	return both
}

func (w *twin) heads(rt *rapid.T) {
	for i := range 2 {
		both := w.twinHead(rt, w.name(i))
		w.equal(rt, "head", both[0], both[1])
	}
}

func (w *twin) read(rt *rapid.T) {
	name, at, limit := w.topic(rt), w.pos(rt), rapid.IntRange(0, 6).Draw(rt, "limit")
	read, readModel := w.log.Read, w.model.Read
	if rapid.Bool().Draw(rt, "back") {
		read, readModel = w.log.ReadBack, w.model.ReadBack
	}
	got, err := read(w.ctx, name, at.log, limit)
	want, wantErr := readModel(w.ctx, name, at.model, limit)
	w.alike(rt, err, wantErr)
	w.equal(rt, "floor", got.Floor, want.Floor)
	w.equal(rt, "head", got.Head, want.Head)
	if len(got.Entries) != len(want.Entries) || got.More != want.More {
		rt.Fatalf("read %s more %v, want %s more %v", ids(got.Entries), got.More, ids(want.Entries), want.More)
	}
	for i, e := range got.Entries {
		w.equal(rt, "entry", e.Pos, want.Entries[i].Pos)
		if e.ID != want.Entries[i].ID || string(e.Body) != string(want.Entries[i].Body) {
			rt.Fatalf("entry %q %q, want %q %q", e.ID, e.Body, want.Entries[i].ID, want.Entries[i].Body)
		}
	}
}

func (w *twin) discard(rt *rapid.T) {
	name, through := w.topic(rt), w.pos(rt)
	w.alike(rt, w.log.Discard(w.ctx, name, through.log), w.model.Discard(w.ctx, name, through.model))
}

func (w *twin) drop(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "really") != 0 {
		return
	}
	name := w.topic(rt)
	w.alike(rt, w.log.Drop(w.ctx, name), w.model.Drop(w.ctx, name))
}

func (w *twin) snapshot(rt *rapid.T) {
	name, at := w.topic(rt), w.pos(rt)
	got, rev, err := w.log.LoadSnapshot(w.ctx, name)
	want, wantRev, wantErr := w.model.LoadSnapshot(w.ctx, name)
	w.alike(rt, err, wantErr)
	w.equal(rt, "snapshot", got.At, want.At)
	if string(got.Data) != string(want.Data) || (rev == 0) != (wantRev == 0) {
		rt.Fatalf("snapshot %q rev %d, want %q rev %d", got.Data, rev, want.Data, wantRev)
	}
	if rapid.IntRange(0, 3).Draw(rt, "stale") == 0 {
		rev, wantRev = 0, 0
	}
	data := fmt.Append(nil, at.model.Seq)
	_, err = w.log.SaveSnapshot(w.ctx, name, rev, messaging.Snapshot{At: at.log, Data: data})
	_, wantErr = w.model.SaveSnapshot(w.ctx, name, wantRev, messaging.Snapshot{At: at.model, Data: data})
	w.alike(rt, err, wantErr)
}

// equal fails unless got is want but for the name of its epoch.
func (w *twin) equal(rt *rapid.T, what string, got, want messaging.Pos) {
	rt.Helper()
	epoch, ok := w.epochs[got.Epoch]
	if !ok || epoch != want.Epoch || got.Seq != want.Seq || got.Tag != want.Tag {
		rt.Fatalf("%s: %+v, want %+v (but for the epoch)", what, got, want)
	}
}

// alike fails unless two errors are of one kind, with the same bounds.
func (w *twin) alike(rt *rapid.T, got, want error) {
	rt.Helper()
	if lost, ok := errors.AsType[*messaging.PosLostError](want); ok {
		if l, ok := errors.AsType[*messaging.PosLostError](got); ok {
			w.equal(rt, "lost, floor", l.Floor, lost.Floor)
			w.equal(rt, "lost, head", l.Head, lost.Head)
			return
		}
	}
	if !errors.Is(got, want) {
		rt.Fatalf("%v, want %v", got, want)
	}
}
