package jetstream

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/messaging"
)

// Whoever may write to a topic's subject may put any record behind any other. What
// a node makes of them is a topic all the same, whose newest record says where its
// head is.
func TestAnyRecordsMakeATopic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s state
		for n := range uint64(rapid.IntRange(1, 12).Draw(t, "records")) {
			number := rapid.OneOf(rapid.Uint64Range(0, 6), rapid.Uint64())
			r := &record{does: rapid.SampledFrom([]byte{doesAdd, doesAdd, doesAdd, doesDiscard, doesDrop}).Draw(t, "does"), epoch: rapid.Uint64Range(0, 2).Draw(t, "epoch")}
			r.prev.seq, r.floor.seq = number.Draw(t, "prev"), number.Draw(t, "floor")
			r.head = r.prev
			if r.does == doesAdd {
				for range rapid.IntRange(1, 3).Draw(t, "entries") {
					r.head = place{r.head.seq + 1, messaging.Tag{rapid.Byte().Draw(t, "tag")}}
					r.index = append(r.index, indexed{id: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "id"), tag: r.head.tag})
				}
			}
			r, err := decode(r.encode())
			if err != nil {
				continue
			}
			s.apply(r, n+1)
			if head := s.headPos(); r.does != doesDrop && head != r.head.in(r.epoch) {
				t.Fatalf("the head is %+v after %+v", head, r)
			}
			last := s.floor.seq
			for _, it := range s.items {
				if it.seq <= last || it.seq > s.head.seq {
					t.Fatalf("entry %d stands behind %d, and the head is %d", it.seq, last, s.head.seq)
				}
				last = it.seq
			}
			for _, it := range s.items {
				pos, ok := s.pos(it.id)
				if i := s.upTo(pos.Seq) - 1; !ok || i < 0 || s.items[i].id != it.id {
					t.Fatalf("%q is said to be at %+v", it.id, pos)
				}
			}
			if n := len(s.ids.seqs) + len(s.ids.more); n > len(s.items) {
				t.Fatalf("%d IDs of %d entries", n, len(s.items))
			}
		}
	})
}

// TestReplayedRecord stores a record of a topic a second time. It says what the head
// was then, so the entries behind that are lost to everybody, and to nobody unseen;
// the topic goes on from there.
func TestReplayedRecord(t *testing.T) {
	config := configFor(natstest.Start(t, natstest.Options{}))
	log, other := openLog(t, config), openLog(t, config)
	var at []messaging.Pos
	add := func(log *Log, id string) {
		t.Helper()
		added, err := log.Append(t.Context(), "topic", []messaging.Msg{{ID: id, Tag: messaging.Tag([]byte(id + "-tagged!")[:8]), Body: []byte(id)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, added[0].Pos)
	}
	for i := range 5 {
		add(log, fmt.Sprint("m", i))
	}
	records, _ := rawRecords(t, log, "topic")
	publishRaw(t, log, "topic", kindLog, records[1].encode())
	for _, log := range []*Log{log, other} {
		if _, err := log.Read(t.Context(), "topic", at[4], 10); !isLost(err) {
			t.Errorf("read after a lost position: %v, want *PosLostError", err)
		}
	}
	add(other, "m4") // whose ID is free again
	for _, log := range []*Log{log, other} {
		page, err := log.Read(t.Context(), "topic", messaging.Pos{}, 10)
		ids := []string{}
		for _, e := range page.Entries {
			ids = append(ids, e.ID+" "+string(e.Body))
		}
		if err != nil || !slices.Equal(ids, []string{"m0 m0", "m1 m1", "m4 m4"}) {
			t.Errorf("the topic has %q: %v", ids, err)
		}
		heads, err := log.Heads(t.Context(), []messaging.Topic{"topic"})
		if err != nil || heads[0] != at[5] || at[5].Seq != 3 || page.Head != heads[0] {
			t.Errorf("the head is %+v, and of the page %+v: %v", heads, page.Head, err)
		}
	}
}
