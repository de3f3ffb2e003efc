package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
)

// cut returns bytes as pieces: as they are when they are few, else stored one by
// one, to be named by a message that is yet to come. Until then nobody sees them.
func (l *Log) cut(ctx context.Context, t *topic, kind string, texts [][]byte) (pieces, error) {
	whole := bytes.Join(texts, nil)
	if len(whole) <= maxInline {
		return pieces{inline: whole}, nil
	}
	p := pieces{size: l.parts}
	for len(whole) > 0 {
		n := min(len(whole), l.parts)
		seq, err := l.publish(ctx, l.subjectOf(t, kind), nil, false, whole[:n])
		if err != nil {
			l.uncut(t, p)
			// A piece more or less that nothing names is no append.
			return pieces{}, unavailable(errors.New(err.Error()))
		}
		p.seqs = append(p.seqs, seq)
		whole = whole[n:]
	}
	return p, nil
}

// uncut removes pieces that nothing came to name. What it leaves goes when the
// topic's entries up to there are discarded.
func (l *Log) uncut(t *topic, p pieces) {
	for _, seq := range p.seqs {
		asking, done := l.request(l.calls.Life())
		question, err := json.Marshal(get{Seq: seq})
		if err == nil {
			_, err = l.conn.RequestWithContext(asking, "$JS.API.STREAM.MSG.DELETE."+l.streamName(t.shard), question)
		}
		done()
		if err != nil {
			return
		}
	}
}

// holders returns the sequences of the messages with the bytes from one place to
// another.
func (h *home) holders(from, to int) []uint64 {
	switch {
	case len(h.parts) == 0:
		return []uint64{h.seq}
	case from == to || (to-1)/h.size >= len(h.parts):
		return nil
	default:
		return h.parts[from/h.size : (to-1)/h.size+1]
	}
}

// joined returns the bytes from one place to another out of the messages that
// holders named; false when they are not on the subject they should be, or too
// short.
func (h *home) joined(found map[uint64]stored, subject string, from, to int) ([]byte, bool) {
	text := make([]byte, 0, to-from+h.size)
	for _, seq := range h.holders(from, to) {
		m := found[seq]
		if m.subject != subject {
			return nil, false
		}
		text = append(text, m.data...)
	}
	from, to = from%h.size, to-from/h.size*h.size
	if to > len(text) {
		return nil, from == to
	}
	return text[from:to], true
}
