package jetstream

import (
	"errors"
	"slices"

	"github.com/lodge-gateway/lodge/messaging"
)

// errFurther says that the whole topic must be known, not its end alone.
var errFurther = errors.New("jetstream: what is known of the topic does not go so far back")

// A state is what a topic was when the record at last had been written. The zero
// state is that of a topic nobody wrote to.
type state struct {
	last        uint64 // the stream's sequence of the newest record; 0: there is none
	epoch       uint64 // 0: nothing was written in any
	floor, head place
	behind      place   // the items are those behind it, where that is above the floor
	items       []item  // behind the floor, in order
	ids         idIndex // of items
}

// An item is an entry without its body.
type item struct {
	seq      uint64
	tag      messaging.Tag
	id       string
	from, to int // where its body is among the bodies of its record
	in       *home
}

// A home is the record of items.
type home struct {
	seq   uint64   // the stream's
	parts []uint64 // the stream's sequences of its bodies' pieces; none: in the record
	size  int      // of each piece but the last
}

// first returns the lowest sequence in the stream that belongs to it.
func (h *home) first() uint64 { return min(h.seq, slices.Min(append([]uint64{h.seq}, h.parts...))) }

// follows reports whether r was written by somebody who knew all that s knows, and
// no entries are between.
func (s *state) follows(r *record) bool {
	if s.epoch == 0 || r.does == doesDrop {
		return r.prev.seq == 0
	}
	return r.epoch == s.epoch && r.prev == s.head
}

// is reports whether r says what s had after it: another one can be at the same
// sequence in a stream that lost its tail.
func (s *state) is(r *record) bool {
	if r.does == doesDrop {
		return s.epoch == 0
	}
	return r.epoch == s.epoch && r.head == s.head && r.floor == s.floor
}

// apply makes s what it is after the record at seq. A record that does not follow
// was put there past Lodge: what it says holds all the same, as it does for who only
// asks for the newest one, and its entries' seals tell the rest.
func (s *state) apply(r *record, seq uint64) {
	if r.does == doesDrop {
		*s = state{last: seq}
		return
	}
	if s.epoch != r.epoch {
		*s = state{epoch: r.epoch, ids: newIDIndex(0)}
	}
	s.cut(r.prev.seq)
	if r.prev.seq < s.behind.seq {
		s.behind = r.prev
	}
	h := &home{seq: seq, parts: r.pieces.seqs, size: r.pieces.size}
	at := 0
	for i, e := range r.index {
		n := r.prev.seq + uint64(i) + 1
		s.items = append(s.items, item{seq: n, tag: e.tag, id: e.id, from: at, to: at + e.size, in: h})
		s.ids.add(e.id, n)
		at += e.size
	}
	s.last, s.floor, s.head = seq, r.floor, r.head
	gone := s.upTo(r.floor.seq)
	s.forget(s.items[:gone])
	s.items = slices.Delete(s.items, 0, gone)
}

// cut takes the items behind a sequence number away.
func (s *state) cut(seq uint64) {
	n := s.upTo(seq)
	s.forget(s.items[n:])
	s.items = slices.Delete(s.items, n, len(s.items))
}

// forget frees the IDs of items that are taken away.
func (s *state) forget(items []item) {
	for _, it := range items {
		s.ids.remove(it.id, it.seq)
	}
}

// upTo returns how many items are at or before a sequence number.
func (s *state) upTo(seq uint64) int {
	n, found := slices.BinarySearchFunc(s.items, seq, func(it item, seq uint64) int {
		switch {
		case it.seq < seq:
			return -1
		case it.seq > seq:
			return 1
		}
		return 0
	})
	if found {
		n++
	}
	return n
}

func (s *state) headPos() messaging.Pos { return s.head.in(s.epoch) }

func (s *state) bounds() messaging.Page {
	return messaging.Page{Floor: s.floor.in(s.epoch), Head: s.headPos()}
}

func (s *state) lost() error {
	page := s.bounds()
	return &messaging.PosLostError{Floor: page.Floor, Head: page.Head}
}

// whole reports whether all entries of the topic are known.
func (s *state) whole() bool { return s.behind.seq <= s.floor.seq }

// find returns how many items are at or before p, when p is in the topic.
func (s *state) find(p messaging.Pos) (int, error) {
	if !s.whole() {
		switch {
		case p == s.behind.in(s.epoch):
			return 0, nil
		case p == s.floor.in(s.epoch), p.Epoch == s.epoch && p.Seq > s.floor.seq && p.Seq <= s.behind.seq:
			return 0, errFurther
		}
	}
	if p == s.floor.in(s.epoch) {
		return 0, nil
	}
	n := s.upTo(p.Seq)
	if s.epoch == 0 || p.Epoch != s.epoch || n == 0 || s.items[n-1].seq != p.Seq || s.items[n-1].tag != p.Tag {
		return 0, s.lost()
	}
	return n, nil
}

// pos returns the position of the item with an ID.
func (s *state) pos(id string) (messaging.Pos, bool) {
	seq, ok := s.ids.find(id, func(seq uint64) bool { return s.items[s.upTo(seq)-1].id == id })
	if !ok {
		return messaging.Pos{}, false
	}
	return messaging.Pos{Epoch: s.epoch, Seq: seq, Tag: s.items[s.upTo(seq)-1].tag}, true
}

// firstKept returns the lowest sequence in the stream that the topic still needs,
// of records and of pieces alike; 0 when that is not known.
func (s *state) firstKept() uint64 {
	if !s.whole() {
		return 0
	}
	if len(s.items) == 0 {
		return s.last
	}
	return min(s.items[0].in.first(), s.last)
}
