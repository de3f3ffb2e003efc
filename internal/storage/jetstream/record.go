package jetstream

import (
	"encoding/binary"
	"errors"

	"github.com/lodge-gateway/lodge/messaging"
)

const (
	// maxPart is the size of a piece of what does not fit into one message; less
	// where the server takes less. minPart is the least that is of use.
	maxPart = 512 << 10
	minPart = 64 << 10
	// maxInline is how many bytes of bodies stand in a record itself. Records are
	// small, so that the newest ones of many topics come in one answer.
	maxInline = 64 << 10
)

// What a record does.
const (
	doesAdd     = 'a' // adds entries behind prev
	doesDiscard = 'f' // raises the floor
	doesDrop    = 'd' // ends the epoch; what is before it is being removed
)

// A record is what one message on a topic's log subject says. Each repeats the
// bounds that the topic has from then on.
type record struct {
	does              byte
	epoch             uint64
	floor, prev, head place
	index             []indexed // of the entries
	pieces            pieces    // with the bodies, one after the other
}

// A place is a position without its epoch.
type place struct {
	seq uint64
	tag messaging.Tag
}

func placeOf(p messaging.Pos) place { return place{p.Seq, p.Tag} }

// in returns the position in an epoch; the place before everything is the zero one.
func (p place) in(epoch uint64) messaging.Pos {
	if p.seq == 0 {
		return messaging.Pos{}
	}
	return messaging.Pos{Epoch: epoch, Seq: p.seq, Tag: p.tag}
}

// indexed is an entry without its body.
type indexed struct {
	id   string
	tag  messaging.Tag
	size int
}

// pieces are bytes, in the message itself or in others of its stream.
type pieces struct {
	seqs   []uint64 // of the others; none: in the message
	size   int      // of each but the last
	inline []byte
}

var errBroken = errors.New("jetstream: a record is broken")

const recordForm = 1 // changes with the layout

func (r *record) encode() []byte {
	b := []byte{recordForm, r.does}
	b = binary.BigEndian.AppendUint64(b, r.epoch)
	for _, p := range []place{r.floor, r.prev, r.head} {
		b = binary.BigEndian.AppendUint64(b, p.seq)
		b = append(b, p.tag[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(r.index)))
	for _, e := range r.index {
		b = binary.AppendUvarint(b, uint64(len(e.id)))
		b = append(b, e.id...)
		b = append(b, e.tag[:]...)
		b = binary.AppendUvarint(b, uint64(e.size))
	}
	return r.pieces.append(b)
}

func (p *pieces) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(p.seqs)))
	for _, seq := range p.seqs {
		b = binary.AppendUvarint(b, seq)
	}
	b = binary.AppendUvarint(b, uint64(p.size))
	return append(b, p.inline...)
}

// decode reads what encode wrote. Whoever may write to JetStream may have put
// anything there: what is no record is errBroken, what is one may still be false,
// which its seal tells above.
func decode(data []byte) (*record, error) {
	in := reader{rest: data}
	if in.byte() != recordForm {
		return nil, errBroken
	}
	r := &record{does: in.byte(), epoch: in.uint64()}
	for _, p := range []*place{&r.floor, &r.prev, &r.head} {
		p.seq = in.uint64()
		copy(p.tag[:], in.bytes(len(p.tag)))
	}
	total := 0
	for n := in.count(); n > 0 && !in.bad; n-- {
		e := indexed{id: string(in.bytes(in.count()))}
		copy(e.tag[:], in.bytes(len(e.tag)))
		if e.size = int(min(in.uvarint(), messaging.MaxBody+1)); e.size > messaging.MaxBody {
			return nil, errBroken
		}
		total += e.size
		r.index = append(r.index, e)
	}
	in.pieces(&r.pieces)
	if in.bad || !r.sound(total) {
		return nil, errBroken
	}
	return r, nil
}

// sound reports whether what r says fits together.
func (r *record) sound(total int) bool {
	n := len(r.index)
	if r.pieces.seqs == nil && len(r.pieces.inline) != total || r.floor.seq > r.head.seq {
		return false
	}
	switch r.does {
	case doesAdd:
		return r.epoch != 0 && n > 0 && r.head.seq == r.prev.seq+uint64(n) && r.head.seq > r.prev.seq && r.head.tag == r.index[n-1].tag && r.floor.seq <= r.prev.seq
	case doesDiscard:
		return r.epoch != 0 && n == 0 && r.head == r.prev
	default:
		return r.does == doesDrop && n == 0
	}
}

// A reader takes fields off the front of bytes. Behind the first that is not
// there all are zero.
type reader struct {
	rest []byte
	bad  bool
}

func (in *reader) bytes(n int) []byte {
	if n > len(in.rest) {
		in.bad, in.rest = true, nil
		return nil
	}
	b := in.rest[:n]
	in.rest = in.rest[n:]
	return b
}

func (in *reader) byte() byte {
	if b := in.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (in *reader) uint64() uint64 {
	if b := in.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (in *reader) uvarint() uint64 {
	v, n := binary.Uvarint(in.rest)
	if n <= 0 {
		in.bad, in.rest = true, nil
		return 0
	}
	in.rest = in.rest[n:]
	return v
}

// count is the number of something that follows, so not more than there are bytes.
func (in *reader) count() int {
	n := in.uvarint()
	if n > uint64(len(in.rest)) {
		in.bad, in.rest = true, nil
		return 0
	}
	return int(n)
}

func (in *reader) pieces(p *pieces) {
	for n := in.count(); n > 0 && !in.bad; n-- {
		p.seqs = append(p.seqs, in.uvarint())
	}
	size := in.uvarint()
	if size > maxPart || len(p.seqs) > 0 && size == 0 {
		in.bad = true
	}
	p.size, p.inline = int(min(size, maxPart)), in.rest
	in.rest = nil
}
