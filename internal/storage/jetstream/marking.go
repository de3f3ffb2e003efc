package jetstream

import (
	"context"
	"slices"
)

// mark begins to mark a topic that grew by enough since this node last did. It is
// called with l.mu held, by a call or a flight.
func (l *Log) mark(t *topic) {
	t.mu.Lock()
	s := t.state
	due := s.epoch != 0 && s.head.seq >= max(t.marked, s.floor.seq)+markEntries
	if s.head.seq < t.marked { // the topic was dropped, or lost its tail
		t.marked = s.floor.seq
	}
	t.mu.Unlock()
	if !due || t.marking {
		return
	}
	t.marking = true
	t.users++
	l.work.Go(func() {
		l.writeMarks(t)
		l.mu.Lock()
		t.marking = false
		l.mu.Unlock()
		l.done(t)
	})
}

// writeMarks brings the marks of a topic up to date. What goes wrong is left for
// when the topic has grown again: a missing mark costs time only. Of nodes that do
// it at the same time, one is first with each mark, and the others leave it at that.
func (l *Log) writeMarks(t *topic) {
	t.mu.Lock()
	t.marked = t.state.head.seq
	anew := t.distrusts
	t.mu.Unlock()
	subject := l.subjectOf(t, kindMark)
	m, ok, err := l.newest(l.calls.Life(), t.shard, subject)
	if err != nil {
		return
	}
	var newest *mark
	if ok {
		newest, _ = decodeMark(m.data, nil) // nil is as good as none
	}
	t.mu.Lock()
	epoch := t.state.epoch
	prev, items, goesOn := t.state.markable(newest, anew)
	items = slices.Clone(items)
	t.mu.Unlock()
	expect, first := m.seq, uint64(0)
	for epoch != 0 && len(items) >= markEntries {
		data, n := newMark(epoch, prev, items, l.parts)
		if n == 0 {
			return
		}
		if expect, err = l.publish(l.calls.Life(), subject, &expect, false, data); err != nil {
			return
		}
		if first == 0 {
			first = expect
		}
		prev = place{items[n-1].seq, items[n-1].tag}
		items = items[n:]
	}
	t.mu.Lock()
	t.marked = prev.seq
	if anew {
		t.distrusts = false
	}
	t.mu.Unlock()
	if !goesOn && m.seq != 0 && first != 0 {
		_ = l.purge(l.calls.Life(), t.shard, subject, first) // what is left is not followed by what is new
	}
}

// mostReserved is for how many items room is made because a record says that there
// are so many.
const mostReserved = 1 << 20

// readMarks returns what marks there are of a topic whose newest record is r, and
// nil when they cannot be of help.
func (l *Log) readMarks(ctx context.Context, t *topic, r *record) (*chain, error) {
	t.mu.Lock()
	skip := t.distrusts
	t.mu.Unlock()
	if skip || r.epoch == 0 || r.head.seq-r.floor.seq < markEntries {
		return nil, nil
	}
	c := &chain{items: make([]item, 0, min(r.head.seq-r.floor.seq, mostReserved))}
	for after, whole := uint64(0), false; !whole; {
		var found []stored
		var err error
		found, whole, err = l.many(ctx, t.shard, get{Seq: after + 1, Next: l.subjectOf(t, kindMark), Batch: batchRecords, MaxBytes: pageBytes})
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			after = m.seq
			if one, err := decodeMark(m.data, c.items); err != nil || one.epoch != r.epoch {
				c.add(nil)
			} else if one.head.seq > r.floor.seq {
				c.add(one)
			}
		}
		whole = whole || len(found) == 0
	}
	if c.last == 0 {
		return nil, nil
	}
	return c, nil
}

// readEnd returns what the newest mark of a topic, and the records behind it, tell of
// its state as of its newest record, r, which is at a sequence; nil when that is too
// little, or the mark does not fit.
func (l *Log) readEnd(ctx context.Context, t *topic, r *record, last uint64) (s *state, again bool, err error) {
	t.mu.Lock()
	skip := t.distrusts || t.all
	t.mu.Unlock()
	if skip || r.epoch == 0 || r.head.seq-r.floor.seq < 2*markEntries {
		return nil, false, nil
	}
	newest, ok, err := l.newest(ctx, t.shard, l.subjectOf(t, kindMark))
	if err != nil || !ok {
		return nil, false, err
	}
	m, err := decodeMark(newest.data, nil)
	if err != nil || m.epoch != r.epoch || m.prev.seq <= r.floor.seq || m.last() > last {
		return nil, false, nil // which of these it is, who reads all marks finds out
	}
	c := &chain{}
	c.add(m)
	again, err = l.records(ctx, t, c.last-1, last, func(one *record, seq uint64) bool {
		switch {
		case s != nil:
			s.apply(one, seq)
		case c.endsWith(one, seq, m.prev.seq):
			s = c.state(one, m.prev.seq)
			s.behind = m.prev
		default:
			return false
		}
		return true
	})
	return s, again, err
}

// readWhole returns a topic's state as of its newest record, r, which is at a
// sequence: from its marks and the records behind them where those agree, else
// from all records.
func (l *Log) readWhole(ctx context.Context, t *topic, r *record, last uint64) (s *state, again bool, err error) {
	c, err := l.readMarks(ctx, t, r)
	if err != nil {
		return nil, false, err
	}
	if c != nil && c.last <= last {
		again, err = l.records(ctx, t, c.last-1, last, func(one *record, seq uint64) bool {
			switch {
			case s != nil:
				s.apply(one, seq)
			case c.endsWith(one, seq, r.floor.seq):
				s = c.state(one, r.floor.seq)
			default:
				return false
			}
			return true
		})
		if err != nil || again || s != nil {
			return s, again, err
		}
	}
	if c != nil {
		t.mu.Lock()
		t.distrusts = true
		t.mu.Unlock()
	}
	s = &state{}
	again, err = l.records(ctx, t, 0, last, func(one *record, seq uint64) bool { s.apply(one, seq); return true })
	return s, again, err
}

// distrust has a topic read from its records alone, and marked anew: what was
// known of it is not there.
func (t *topic) distrust(was *state) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == was {
		t.state, t.session, t.distrusts, t.marked = &state{}, 0, true, 0
	}
}
