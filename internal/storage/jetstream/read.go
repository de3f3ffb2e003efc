package jetstream

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// Read implements messaging.Log.
func (l *Log) Read(ctx context.Context, name messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	return l.page(ctx, name, func(s *state) (messaging.Page, []item, error) {
		n, err := s.find(after)
		if err != nil {
			return messaging.Page{}, nil, err
		}
		page, rest := s.bounds(), s.items[n:]
		wanted := rest[:fitting(rest, limit)]
		page.More = len(wanted) < len(rest)
		return page, slices.Clone(wanted), nil
	})
}

// ReadBack implements messaging.Log.
func (l *Log) ReadBack(ctx context.Context, name messaging.Topic, before messaging.Pos, limit int) (messaging.Page, error) {
	return l.page(ctx, name, func(s *state) (messaging.Page, []item, error) {
		rest := s.items
		if !before.IsZero() {
			n, err := s.find(before)
			if err != nil {
				return messaging.Page{}, nil, err
			}
			rest = rest[:max(n-1, 0)]
		}
		page := s.bounds()
		wanted := slices.Clone(rest)
		slices.Reverse(wanted)
		wanted = wanted[:fitting(wanted, limit)]
		page.More = len(wanted) < len(rest)
		return page, wanted, nil
	})
}

// fitting returns how many of the first items make a page.
func fitting(items []item, limit int) int {
	size := 0
	for i, it := range items {
		if i >= limit || i > 0 && size+it.to-it.from > pageBytes {
			return i
		}
		size += it.to - it.from
	}
	return len(items)
}

// page reads what choose chooses of a topic as it is now. When that is removed
// meanwhile, it chooses again.
func (l *Log) page(ctx context.Context, name messaging.Topic, choose func(*state) (messaging.Page, []item, error)) (messaging.Page, error) {
	ctx, done, err := l.begin(ctx)
	if err != nil {
		return messaging.Page{}, err
	}
	defer done()
	t := l.use(name)
	defer l.done(t)
	began := time.Now()
	for {
		if err := l.catchUp(ctx, t); err != nil {
			return messaging.Page{}, err
		}
		t.mu.Lock()
		page, wanted, err := choose(t.state)
		epoch := t.state.epoch
		t.mu.Unlock()
		if err != nil || len(wanted) == 0 {
			return page, err
		}
		bodies, ok, err := l.bodies(ctx, t, wanted)
		if err != nil {
			return messaging.Page{}, err
		}
		if ok {
			for i, it := range wanted {
				pos := messaging.Pos{Epoch: epoch, Seq: it.seq, Tag: it.tag}
				page.Entries = append(page.Entries, messaging.Entry{Pos: pos, ID: it.id, Body: bodies[i]})
			}
			return page, nil
		}
		if time.Since(began) > l.conf.Timeout {
			return messaging.Page{}, unavailable(errors.New("jetstream: messages are missing in the stream"))
		}
		wait(ctx, lagPause)
	}
}

// bodies returns the bodies of items; ok is false when some are gone, or not yet
// at the replica asked.
func (l *Log) bodies(ctx context.Context, t *topic, items []item) (_ [][]byte, ok bool, err error) {
	inline, ok, err := l.inline(ctx, t, items)
	if err != nil || !ok {
		return nil, false, err
	}
	bodies := make([][]byte, len(items))
	for i, it := range items {
		text := inline[it.in.seq]
		switch {
		case len(it.in.parts) > 0:
			bodies[i], ok, err = l.piece(ctx, t, kindPart, it.in.parts, it.in.size, it.from, it.to)
			if err != nil || !ok {
				return nil, false, err
			}
		case it.to > len(text):
			return nil, false, nil // another record at that number: the stream lost its tail
		default:
			bodies[i] = bytes.Clone(text[it.from:it.to])
		}
	}
	return bodies, true, nil
}

// inline returns the bodies in the records of items, by the records' sequences in
// the stream.
func (l *Log) inline(ctx context.Context, t *topic, items []item) (_ map[uint64][]byte, ok bool, err error) {
	var seqs []uint64
	for _, it := range items {
		if len(it.in.parts) == 0 && (len(seqs) == 0 || seqs[len(seqs)-1] != it.in.seq) {
			seqs = append(seqs, it.in.seq)
		}
	}
	slices.Sort(seqs)
	found := make(map[uint64][]byte, len(seqs))
	for len(seqs) > 0 {
		ask := get{Seq: seqs[0], Next: l.subjectOf(t, kindLog), Batch: min(len(seqs), batchRecords), MaxBytes: pageBytes}
		records, _, err := l.many(ctx, t.shard, ask)
		if err != nil {
			return nil, false, err
		}
		if len(records) == 0 || records[0].seq != seqs[0] {
			return nil, false, nil
		}
		for _, m := range records {
			if len(seqs) == 0 || m.seq < seqs[0] {
				continue // a new floor between
			}
			if m.seq > seqs[0] {
				return nil, false, nil
			}
			r, err := decode(m.data)
			if err != nil {
				return nil, false, l.broken(t, m.seq)
			}
			found[m.seq] = r.pieces.inline
			seqs = seqs[1:]
		}
	}
	return found, true, nil
}
