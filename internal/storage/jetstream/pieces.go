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
			l.uncut(t, kind, p)
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
func (l *Log) uncut(t *topic, kind string, p pieces) {
	for _, seq := range p.seqs {
		asking, done := l.request(l.life)
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

// piece returns the bytes from one place to another of what was cut. ok is false
// when they were removed.
func (l *Log) piece(ctx context.Context, t *topic, kind string, seqs []uint64, size, from, to int) (_ []byte, ok bool, err error) {
	var text []byte
	if from == to {
		return nil, true, nil
	}
	if (to-1)/size >= len(seqs) {
		return nil, false, unavailable(errBroken)
	}
	for i := from / size; i <= (to-1)/size; i++ {
		m, ok, err := l.one(ctx, t.shard, get{Seq: seqs[i]})
		if err != nil || !ok {
			return nil, false, err
		}
		if m.subject != l.subjectOf(t, kind) {
			return nil, false, unavailable(errBroken)
		}
		text = append(text, m.data...)
	}
	start := from / size * size
	if to-start > len(text) {
		return nil, false, unavailable(errBroken)
	}
	return text[from-start : to-start], true, nil
}
