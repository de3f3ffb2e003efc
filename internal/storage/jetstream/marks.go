package jetstream

import (
	"encoding/binary"
	"errors"

	"github.com/lodge-gateway/lodge/messaging"
)

// markEntries is how many entries a topic gets before the next mark is made, so
// about how many a node reads one record after the other at its first use.
const markEntries = 4096

// errBrokenMark stands for what is no mark; the records say the same, and more.
var errBrokenMark = errors.New("jetstream: a mark is broken")

// A mark repeats what some successive records say, except bodies: a few of them
// are much sooner read. Nothing rests on one. It counts only while it begins where
// the one before it ends, or at the floor, and while the last of its records is
// where it says and has the head that it says.
type mark struct {
	epoch      uint64
	prev, head place
	items      []item
}

// last returns the stream's sequence of the newest record that m is about.
func (m *mark) last() uint64 { return m.items[len(m.items)-1].in.seq }

// newMark returns the mark of the first items, those behind prev, and how many
// they are: of whole records, not many more bytes than size. It is nil where items
// are missing among them, as when somebody removed a record: that stays as visible
// as it is.
func newMark(epoch uint64, prev place, items []item, size int) (data []byte, n int) {
	var body []byte
	head := prev
	for rest := items; n < markEntries && len(rest) > 0; rest = items[n:] {
		end := n
		for h := rest[0].in; end < len(items) && items[end].in == h; {
			if end++; items[end-1].seq != prev.seq+uint64(end) {
				return nil, 0
			}
		}
		next := appendMarked(nil, items[n:end])
		if n > 0 && len(body)+len(next) > size {
			break
		}
		body = append(body, next...)
		head = place{items[end-1].seq, items[end-1].tag}
		n = end
	}
	data = binary.BigEndian.AppendUint64([]byte{recordForm}, epoch)
	for _, p := range []place{prev, head} {
		data = binary.BigEndian.AppendUint64(data, p.seq)
		data = append(data, p.tag[:]...)
	}
	return append(data, body...), n
}

// appendMarked appends the items of one record.
func appendMarked(b []byte, items []item) []byte {
	h := items[0].in
	b = binary.AppendUvarint(b, h.seq)
	b = binary.AppendUvarint(b, uint64(len(h.parts)))
	for _, seq := range h.parts {
		b = binary.AppendUvarint(b, seq)
	}
	b = binary.AppendUvarint(b, uint64(h.size))
	b = binary.AppendUvarint(b, uint64(items[0].from))
	b = binary.AppendUvarint(b, uint64(len(items)))
	for _, it := range items {
		b = binary.AppendUvarint(b, uint64(len(it.id)))
		b = append(b, it.id...)
		b = append(b, it.tag[:]...)
		b = binary.AppendUvarint(b, uint64(it.to-it.from))
	}
	return b
}

// decodeMark reads what newMark wrote. Whoever may write to JetStream may have put
// anything there: what is let through is in order, so that nothing is removed, or
// looked for, where a sound mark would not have it. The items are put behind those
// of room, if there is any.
func decodeMark(data []byte, room []item) (*mark, error) {
	in, text := reader{rest: data}, string(data) // which the IDs are parts of
	if in.byte() != recordForm {
		return nil, errBrokenMark
	}
	m := &mark{epoch: in.uint64(), items: room[len(room):]}
	for _, p := range []*place{&m.prev, &m.head} {
		p.seq = in.uint64()
		copy(p.tag[:], in.bytes(len(p.tag)))
	}
	before := uint64(0) // the stream's sequence of the record before
	for at := m.prev.seq; len(in.rest) > 0; {
		h := &home{seq: in.uvarint()}
		in.bad = in.bad || h.seq <= before
		before = h.seq
		for n := in.count(); n > 0 && !in.bad; n-- {
			part := in.uvarint()
			in.bad = in.bad || part == 0 || part >= h.seq
			h.parts = append(h.parts, part)
		}
		h.size = int(min(in.uvarint(), maxPart+1))
		from := int(min(in.uvarint(), maxMarked+1))
		n := in.count()
		in.bad = in.bad || n == 0 || h.size > maxPart || len(h.parts) > 0 && h.size == 0
		for ; n > 0 && !in.bad; n-- {
			at++
			id := in.count()
			begin := len(data) - len(in.rest)
			if in.bytes(id); in.bad {
				break
			}
			it := item{seq: at, id: text[begin : begin+id], in: h, from: from}
			copy(it.tag[:], in.bytes(len(it.tag)))
			size := in.uvarint()
			in.bad = in.bad || at == 0 || size > messaging.MaxBody || from > maxMarked
			it.to = from + int(min(size, messaging.MaxBody))
			from = it.to
			m.items = append(m.items, it)
		}
	}
	if n := len(m.items); in.bad || n == 0 || m.epoch == 0 || (place{m.items[n-1].seq, m.items[n-1].tag}) != m.head {
		return nil, errBrokenMark
	}
	return m, nil
}

// maxMarked is more bytes than the bodies of one record have.
const maxMarked = 1 << 30

// A chain is the marks found of a topic that follow each other.
type chain struct {
	epoch      uint64
	prev, head place
	last       uint64 // the stream's sequence of the newest record marked; 0: there is none
	items      []item
}

// add takes the next mark. One that does not follow begins the chain anew; so
// does what cannot be read.
func (c *chain) add(m *mark) {
	switch {
	case m == nil:
		*c = chain{items: c.items[:0]}
		return
	case c.last == 0 || m.epoch != c.epoch || m.prev != c.head || m.last() <= c.last:
		*c = chain{epoch: m.epoch, prev: m.prev, items: c.items[:0]}
	}
	n := len(c.items)
	if there := n + len(m.items); there <= cap(c.items) && &c.items[:n+1][n] == &m.items[0] {
		c.items = c.items[:there] // it was decoded to where it belongs
	} else {
		c.items = append(c.items, m.items...)
	}
	c.head, c.last = m.head, m.last()
}

// endsWith reports whether the record at a sequence is the last that the marks are
// about, and they begin at a floor or below it.
func (c *chain) endsWith(r *record, seq, floor uint64) bool {
	return seq == c.last && r.does == doesAdd && r.epoch == c.epoch && r.head == c.head && c.prev.seq <= floor
}

// state returns what the topic was at their last record, r, of the entries that a
// newer floor leaves.
func (c *chain) state(r *record, floor uint64) *state {
	s := &state{last: c.last, epoch: c.epoch, floor: r.floor, head: c.head, items: c.items}
	s.items = s.items[s.upTo(floor):]
	s.ids = newIDIndex(len(s.items))
	for _, it := range s.items {
		s.ids.add(it.id, it.seq)
	}
	return s
}

// markable returns what the next mark of a topic is made of, when the newest mark
// stored, if any, is right about it: the place behind which it begins and the
// items. It begins at the floor when that one is not, and with anew set.
func (s *state) markable(newest *mark, anew bool) (prev place, items []item, goesOn bool) {
	if newest != nil && !anew && newest.epoch == s.epoch && newest.head.seq > s.floor.seq {
		n, err := s.find(newest.head.in(s.epoch))
		if err == nil && s.items[n-1].in.seq == newest.last() {
			return newest.head, s.items[n:], true
		}
	}
	if !s.whole() {
		return s.head, nil, false // it has nothing to begin with
	}
	return s.floor, s.items, false
}
