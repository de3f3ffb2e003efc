package jetstream

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/messaging"
)

// fill appends n entries with tags and small bodies, some entries a record and a
// record with pieces now and then, and returns their positions.
func fill(t *testing.T, log *Log, name messaging.Topic, run string, n int) []messaging.Pos {
	t.Helper()
	var at []messaging.Pos
	for len(at) < n {
		msgs := make([]messaging.Msg, min(1+len(at)%97, n-len(at)))
		for i := range msgs {
			id := fmt.Sprint(run, "-", len(at)+i)
			msgs[i] = messaging.Msg{ID: id, Tag: messaging.Tag([]byte(id + "-tagged-")[:8]), Body: []byte("body of " + id)}
			copy(msgs[i].Tag[4:], fmt.Sprintf("%04d", (len(at)+i)%10000))
		}
		if len(at)%11 == 0 {
			msgs[0].Body = bytes.Repeat([]byte{7}, maxInline+1)
		}
		added, err := log.Append(t.Context(), name, msgs, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range added {
			at = append(at, a.Pos)
		}
	}
	return at
}

// readBoth returns what a fresh node knows of a topic, and fails unless the records
// alone say the same; by is how many entries it had from marks.
func readBoth(t *testing.T, c Config, name messaging.Topic) (known *state, by int) {
	t.Helper()
	log := openLog(t, c)
	defer closeLog(t, log)
	at := log.use(name)
	newest, _, err := log.newest(t.Context(), at.shard, log.subjectOf(at, kindLog))
	if err != nil {
		t.Fatal(err)
	}
	r, err := decode(newest.data)
	if err != nil {
		t.Fatal(err)
	}
	known, again, err := log.readWhole(t.Context(), at, r, newest.seq)
	if err != nil || again {
		t.Fatal(again, err)
	}
	if marks, err := log.readMarks(t.Context(), at, r); err != nil {
		t.Fatal(err)
	} else if marks != nil {
		by = known.upTo(marks.head.seq)
	}
	end, again, err := log.readEnd(t.Context(), at, r, newest.seq)
	if err != nil || again {
		t.Fatal(again, err)
	}
	at.distrusts = true
	plain, again, err := log.readWhole(t.Context(), at, r, newest.seq)
	if err != nil || again {
		t.Fatal(again, err)
	}
	// A record of which the floor took a part is known from both as far as it is left.
	if !reflect.DeepEqual(known, plain) {
		t.Errorf("with marks %d entries to %+v, floor %+v, are known; of the records %d to %+v, floor %+v", len(known.items), known.head, known.floor, len(plain.items), plain.head, plain.floor)
	}
	if end != nil {
		n := plain.upTo(end.behind.seq)
		if end.last != plain.last || end.head != plain.head || end.floor != plain.floor || end.whole() || len(end.ids.seqs) != len(end.items) ||
			n == 0 || end.behind != (place{plain.items[n-1].seq, plain.items[n-1].tag}) || !reflect.DeepEqual(end.items, plain.items[n:]) {
			t.Errorf("of the end %d entries behind %+v to %+v are known, of %d to %+v", len(end.items), end.behind, end.head, len(plain.items), plain.head)
		}
	}
	return known, by
}

// remark has a fresh node know all of a topic, as who appends to it does, and waits
// for the marks it makes.
func remark(t *testing.T, c Config, name messaging.Topic) {
	t.Helper()
	log := openLog(t, c)
	at := log.use(name)
	if err := log.wholly(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	log.done(at)
	closeMarked(t, log, name)
}

// closeMarked closes a log when it has made the marks that it has begun.
func closeMarked(t *testing.T, log *Log, name messaging.Topic) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for marking := true; marking; {
		log.mu.Lock()
		at := log.topics[name]
		marking = at != nil && at.marking
		log.mu.Unlock()
		if marking && !wait(ctx, time.Millisecond) {
			t.Fatal("making marks does not end")
		}
	}
	closeLog(t, log)
}

// TestMarks has fresh nodes read topics from marks, right and wrong ones: what they
// know is always what the records say.
func TestMarks(t *testing.T) {
	server := natstest.Start(t, natstest.Options{Lazy: true})
	c := Config{URLs: []string{server.URL()}, SyncVouched: true, Streams: 1}
	const n = 3*markEntries + 500
	log := openLog(t, c)
	at := fill(t, log, "topic", "a", n)
	marked := func(what string, least int) *state {
		t.Helper()
		known, by := readBoth(t, c, "topic")
		if by < least {
			t.Errorf("%s: marks tell of %d entries, want %d", what, by, least)
		}
		return known
	}
	remark(t, c, "topic")
	marked("a long topic", 3*markEntries-200)

	// An ID that only marks tell of is known, and its body is found.
	fresh := openLog(t, c)
	added, err := fresh.Append(t.Context(), "topic", []messaging.Msg{{ID: "a-5"}}, nil)
	if err != nil || !added[0].Duplicate || added[0].Pos != at[5] {
		t.Errorf("an old ID again: %+v, %v, want %+v", added, err, at[5])
	}
	page, err := fresh.Read(t.Context(), "topic", at[4], 2)
	if err != nil || len(page.Entries) != 2 || string(page.Entries[0].Body) != "body of a-5" {
		t.Errorf("entries of a marked topic: %+v, %v", page.Entries, err)
	}

	if err := log.Discard(t.Context(), "topic", at[markEntries+100]); err != nil {
		t.Fatal(err)
	}
	if known := marked("after a discard", markEntries); len(known.items) != n-markEntries-101 {
		t.Errorf("after a discard %d entries are known", len(known.items))
	}

	topic := log.use("topic")
	defer log.done(topic)
	subject := log.subjectOf(topic, kindMark)
	marks := func() []stored {
		t.Helper()
		found, _, err := log.many(t.Context(), 0, get{Seq: 1, Next: subject, Batch: batchRecords, MaxBytes: pageBytes})
		if err != nil || len(found) == 0 {
			t.Fatal(len(found), err)
		}
		return found
	}
	put := func(data []byte) {
		t.Helper()
		if _, err := log.publish(t.Context(), subject, nil, false, data); err != nil {
			t.Fatal(err)
		}
	}
	// altered is the newest mark with something changed.
	altered := func(change func(prev *place, items []item)) []byte {
		t.Helper()
		all := marks()
		m, err := decodeMark(all[len(all)-1].data, nil)
		if err != nil {
			t.Fatal(err)
		}
		change(&m.prev, m.items)
		data, _ := newMark(m.epoch, m.prev, m.items, 1<<30)
		return data
	}
	for what, spoil := range map[string]func(){
		"rubbish":           func() { put([]byte("not Lodge's")) },
		"a mark cut short":  func() { put(marks()[0].data[:60]) },
		"the same again":    func() { put(marks()[0].data) },
		"a false head":      func() { put(altered(func(_ *place, items []item) { items[len(items)-1].tag[0]++ })) },
		"a false beginning": func() { put(altered(func(prev *place, _ []item) { prev.tag[0]++ })) },
		"a record that is not there": func() {
			put(altered(func(_ *place, items []item) { items[len(items)-1].in.seq += 100_000 }))
		},
		"none at all": func() {
			if err := log.purge(t.Context(), 0, subject, 1<<40); err != nil {
				t.Fatal(err)
			}
		},
		"the first is missing": func() { log.uncut(topic, pieces{seqs: []uint64{marks()[0].seq}}) },
	} {
		spoil()
		readBoth(t, c, "topic")
		if t.Failed() {
			t.Fatal("after: ", what)
		}
		for range 2 { // one finds that they are wrong, or begins from what it adds to
			remark(t, c, "topic")
		}
		if marked(what, markEntries); t.Failed() {
			t.Fatal("marked again after: ", what)
		}
	}

	if err := log.Drop(t.Context(), "topic"); err != nil {
		t.Fatal(err)
	}
	if n := left(t, log, "topic"); n != 0 {
		t.Errorf("%d messages are left of a dropped topic", n)
	}
	at = fill(t, log, "topic", "b", 2*markEntries)
	remark(t, c, "topic")
	marked("a new epoch", markEntries)
	if err := log.Discard(t.Context(), "topic", at[len(at)-1]); err != nil {
		t.Fatal(err)
	}
	if n := left(t, log, "topic"); n != 1 {
		t.Errorf("%d messages are left of a topic without entries, want its floor alone", n)
	}
}

// TestMarksOfLostTail has a node that knows what its stream lost mark it, after
// another one wrote on.
func TestMarksOfLostTail(t *testing.T) {
	server := natstest.Start(t, natstest.Options{Lazy: true})
	c := Config{URLs: []string{server.URL()}, SyncVouched: true, Streams: 1}
	log := openLog(t, c)
	fill(t, log, "topic", "a", 2*markEntries-10)
	remark(t, c, "topic")
	at := log.use("topic")
	defer log.done(at)
	for range 20 {
		newest, _, err := log.newest(t.Context(), 0, log.subjectOf(at, kindLog))
		if err != nil {
			t.Fatal(err)
		}
		log.uncut(at, pieces{seqs: []uint64{newest.seq}})
	}
	other := openLog(t, c)
	fill(t, other, "topic", "b", markEntries+1000)
	closeLog(t, other)
	log.writeMarks(at) // of what it still believes
	known, _ := readBoth(t, c, "topic")
	if _, ok := known.pos("b-0"); !ok {
		t.Error("what was written after the loss is not known")
	}
	if _, err := log.Read(t.Context(), "topic", messaging.Pos{}, 0); err != nil {
		t.Fatal(err)
	}
	remark(t, c, "topic")
	if _, by := readBoth(t, c, "topic"); by < markEntries {
		t.Errorf("after the loss marks tell of %d entries", by)
	}
}

// TestRecordRemovedBehindMarks has somebody remove a record that marks tell of: the
// entries around it are read.
func TestRecordRemovedBehindMarks(t *testing.T) {
	server := natstest.Start(t, natstest.Options{Lazy: true})
	c := Config{URLs: []string{server.URL()}, SyncVouched: true, Streams: 1, Timeout: 2 * time.Second}
	log := openLog(t, c)
	positions := fill(t, log, "topic", "a", 2*markEntries)
	remark(t, c, "topic")
	at := log.use("topic")
	defer log.done(at)
	gone := at.state.items[300].in
	log.uncut(at, pieces{seqs: []uint64{gone.seq}})
	fresh := openLog(t, c)
	page, err := fresh.Read(t.Context(), "topic", positions[100], 500)
	if err != nil || len(page.Entries) != 500 {
		t.Fatal(len(page.Entries), err)
	}
	last, missed := uint64(101), uint64(0)
	for _, e := range page.Entries {
		missed += e.Pos.Seq - last - 1
		last = e.Pos.Seq
	}
	if missed == 0 {
		t.Error("a record that was removed is read")
	}
}

// TestStreamBeforeMarks opens streams that were made without the subjects of marks.
func TestStreamBeforeMarks(t *testing.T) {
	server := natstest.Start(t, natstest.Options{Lazy: true})
	log := openLog(t, Config{URLs: []string{server.URL()}, SyncVouched: true})
	c := Config{URLs: []string{server.URL()}, SyncVouched: true, Prefix: "old", Streams: 1, Replicas: 1}
	has := (&Log{conf: c}).streamConfig(0)
	has.Subjects = has.Subjects[:4]
	if _, err := log.js.CreateStream(t.Context(), has); err != nil {
		t.Fatal(err)
	}
	newer := openLog(t, c)
	fill(t, newer, "topic", "a", markEntries+200)
	closeMarked(t, newer, "topic")
	if _, by := readBoth(t, c, "topic"); by == 0 {
		t.Error("nothing was marked")
	}
}

// Marks with numbers that wrap round, or that are not in order, are none.
func TestMarksThatCannotBe(t *testing.T) {
	const most = 1<<64 - 1
	long := &home{seq: 9, parts: []uint64{7, 8}, size: minPart}
	for what, m := range map[string]struct {
		prev  uint64
		items []item
	}{
		"numbers beyond the last":      {most - 1, []item{{seq: most, in: &home{seq: 3}}, {seq: 0, in: &home{seq: 3}}}},
		"a number behind the last":     {most, []item{{seq: 0, in: &home{seq: 3}}}},
		"records out of order":         {4, []item{{seq: 5, in: &home{seq: 9}}, {seq: 6, in: &home{seq: 3}}}},
		"a record at no sequence":      {4, []item{{seq: 5, in: &home{}}}},
		"a piece at no sequence":       {4, []item{{seq: 5, to: 9, in: &home{seq: 9, parts: []uint64{0}, size: 9}}}},
		"a piece behind its record":    {4, []item{{seq: 5, to: 9, in: &home{seq: 9, parts: []uint64{10}, size: 9}}}},
		"pieces without a size":        {4, []item{{seq: 5, to: 9, in: &home{seq: 9, parts: []uint64{7}}}}},
		"pieces that are too large":    {4, []item{{seq: 5, to: 9, in: &home{seq: 9, parts: []uint64{7}, size: maxPart + 1}}}},
		"a body that is too large":     {4, []item{{seq: 5, to: messaging.MaxBody + 1, in: long}}},
		"a body of less than nothing":  {4, []item{{seq: 5, from: 9, to: 8, in: long}}},
		"a body far behind the others": {4, []item{{seq: 5, from: maxMarked + 1, to: maxMarked + 1, in: long}}},
	} {
		data, _ := newMark(1, place{seq: m.prev}, m.items, 1<<30)
		if data == nil {
			t.Fatal("not encoded: ", what)
		}
		if got, err := decodeMark(data, nil); err == nil {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// TestEndOfTopic has fresh nodes that know the end of a long topic alone do what
// needs no more, and what does.
func TestEndOfTopic(t *testing.T) {
	server := natstest.Start(t, natstest.Options{Lazy: true})
	c := Config{URLs: []string{server.URL()}, SyncVouched: true, Streams: 1}
	const n = 3*markEntries + 500
	log := openLog(t, c)
	at := fill(t, log, "topic", "a", n)
	closeMarked(t, log, "topic")
	for _, tt := range []struct {
		what  string
		whole bool
		do    func(log *Log) error
	}{
		{"reading on near the head", false, func(log *Log) error {
			page, err := log.Read(t.Context(), "topic", at[n-20], 10)
			if err == nil && (len(page.Entries) != 10 || page.Entries[9].Pos != at[n-10] || !page.More) {
				err = fmt.Errorf("%d entries, more: %t", len(page.Entries), page.More)
			}
			return err
		}},
		{"the newest entries", false, func(log *Log) error {
			page, err := log.ReadBack(t.Context(), "topic", messaging.Pos{}, 10)
			if err == nil && (len(page.Entries) != 10 || page.Entries[9].Pos != at[n-10] || !page.More) {
				err = fmt.Errorf("%d entries, more: %t", len(page.Entries), page.More)
			}
			return err
		}},
		{"all entries, newest first", true, func(log *Log) error {
			page, err := log.ReadBack(t.Context(), "topic", messaging.Pos{}, n+1)
			if err == nil && (len(page.Entries) == 0 || page.Entries[0].Pos != at[n-1]) {
				err = fmt.Errorf("%d entries", len(page.Entries))
			}
			return err
		}},
		{"the first entries", true, func(log *Log) error {
			page, err := log.Read(t.Context(), "topic", messaging.Pos{}, 10)
			if err == nil && (len(page.Entries) != 10 || page.Entries[9].Pos != at[9]) {
				err = fmt.Errorf("%d entries", len(page.Entries))
			}
			return err
		}},
		{"a position that is none", true, func(log *Log) error {
			false5 := at[5]
			false5.Tag[0]++
			if _, err := log.Read(t.Context(), "topic", false5, 10); !isLost(err) {
				return fmt.Errorf("it is answered with %w", err)
			}
			return nil
		}},
		{"an early snapshot", true, func(log *Log) error {
			_, err := log.SaveSnapshot(t.Context(), "topic", 0, messaging.Snapshot{At: at[7]})
			return err
		}},
		{"an early message again", true, func(log *Log) error {
			added, err := log.Append(t.Context(), "topic", []messaging.Msg{{ID: "a-7"}}, nil)
			if err == nil && (!added[0].Duplicate || added[0].Pos != at[7]) {
				err = fmt.Errorf("it is at %+v", added[0])
			}
			return err
		}},
		{"discarding", true, func(log *Log) error {
			if err := log.Discard(t.Context(), "topic", at[99]); err != nil {
				return err
			}
			page, err := log.Read(t.Context(), "topic", at[99], 1)
			if err == nil && (len(page.Entries) != 1 || page.Entries[0].Pos != at[100]) {
				err = fmt.Errorf("behind the floor is %+v", page.Entries)
			}
			return err
		}},
	} {
		fresh := openLog(t, c)
		known := fresh.use("topic")
		if _, err := fresh.catchUp(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		if known.state.whole() {
			t.Fatal("a fresh node knows more than the end")
		}
		if err := tt.do(fresh); err != nil {
			t.Errorf("%s: %v", tt.what, err)
		}
		if known.state.whole() != tt.whole {
			t.Errorf("%s: all is known: %t", tt.what, !tt.whole)
		}
		fresh.done(known)
		closeLog(t, fresh)
	}
}

func FuzzDecodeMark(f *testing.F) {
	one, two := &home{seq: 3}, &home{seq: 9, parts: []uint64{7, 8}, size: minPart}
	data, _ := newMark(1, place{seq: 4}, []item{{seq: 5, id: "a", from: 2, to: 3, in: one}, {seq: 6, id: "b", from: 3, to: 9, in: one}, {seq: 7, id: "c", to: 100_000, in: two}}, 1000)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeMark(data, nil)
		if err != nil {
			return
		}
		again, n := newMark(m.epoch, m.prev, m.items, 1<<30)
		if n < len(m.items) {
			return // more than one mark has
		}
		before := uint64(0)
		for i, it := range m.items {
			if it.seq != m.prev.seq+uint64(i)+1 || it.seq == 0 || it.in.seq < before || it.to < it.from || it.in.first() > it.in.seq {
				t.Fatalf("item %d of a mark behind %d is %+v", i, m.prev.seq, it)
			}
			before = it.in.seq
			it.in.holders(it.from, it.to)
		}
		if back, err := decodeMark(again, nil); err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%+v comes back as %+v: %v", m, back, err)
		}
	})
}
