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
		wanted := slices.Clone(rest[max(0, len(rest)-max(limit, 0)):])
		if len(wanted) < limit && !s.whole() {
			return messaging.Page{}, nil, errFurther
		}
		slices.Reverse(wanted)
		wanted = wanted[:fitting(wanted, limit)]
		page.More = len(wanted) < len(rest) || !s.whole()
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
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return messaging.Page{}, err
	}
	defer done()
	t := l.use(name)
	defer l.done(t)
	began, doubted := time.Now(), false
	var missed *state
	var missedFloor messaging.Pos
	for {
		newest, err := l.catchUp(ctx, t)
		if err != nil {
			return messaging.Page{}, err
		}
		t.mu.Lock()
		page, wanted, err := choose(t.state)
		epoch, known := t.state.epoch, t.state
		t.mu.Unlock()
		if errors.Is(err, errFurther) {
			if err := l.wholly(ctx, t); err != nil {
				return messaging.Page{}, err
			}
			continue
		}
		if err != nil || len(wanted) == 0 {
			return page, err
		}
		bodies, ok, err := l.bodies(ctx, t, wanted, newest, doubted)
		if err != nil {
			return messaging.Page{}, err
		}
		if ok && doubted {
			if ok, err = l.stands(ctx, t, known, epoch, page.Floor); err != nil {
				return messaging.Page{}, err
			}
		}
		if ok {
			for i, it := range wanted {
				pos := messaging.Pos{Epoch: epoch, Seq: it.seq, Tag: it.tag}
				page.Entries = append(page.Entries, messaging.Entry{Pos: pos, ID: it.id, Body: bodies[i]})
			}
			return page, nil
		}
		waited := time.Since(began)
		if waited > l.conf.Timeout {
			return messaging.Page{}, unavailable(errors.New("jetstream: messages are missing in the stream"))
		}
		// Neither discarded meanwhile nor late at a replica: somebody removed them.
		same := known == missed && page.Floor == missedFloor
		if !doubted && same && (l.conf.Replicas == 1 || waited > l.conf.Timeout/2) {
			t.distrust(known)
			doubted = true
		}
		missed, missedFloor = known, page.Floor
		wait(ctx, lagPause)
	}
}

// stands reports whether nothing was discarded of a topic, nor was it dropped, since
// the node knew it as known, with an epoch and a floor.
func (l *Log) stands(ctx context.Context, t *topic, known *state, epoch uint64, floor messaging.Pos) (bool, error) {
	if _, err := l.catchUp(ctx, t); err != nil {
		return false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == known && known.epoch == epoch && known.floor.in(epoch) == floor, nil
}

// bodies returns the bodies of items, whose topic's newest record is at hand; ok is
// false when some are gone, or not yet at the replica asked. With doubted set the
// leader is asked for those, too, and what it does not have is empty: the entry
// keeps its place, and is refused above by its seal.
func (l *Log) bodies(ctx context.Context, t *topic, items []item, newest stored, doubted bool) (_ [][]byte, ok bool, err error) {
	var seqs []uint64
	for _, it := range items {
		need := it.in.holders(it.from, it.to)
		if n := len(seqs); len(need) == 1 && (need[0] == newest.seq || n > 0 && seqs[n-1] == need[0]) {
			continue
		}
		seqs = append(seqs, need...)
	}
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	found, ok, err := l.exact(ctx, t.shard, seqs)
	if err != nil || !ok && !doubted {
		return nil, false, err
	}
	found[newest.seq] = newest
	for _, seq := range seqs {
		if _, there := found[seq]; !there {
			if found[seq], _, err = l.ofLeader(ctx, t.shard, get{Seq: seq}); err != nil {
				return nil, false, err
			}
		}
	}
	inline := map[uint64][]byte{}
	bodies := make([][]byte, len(items))
	for i, it := range items {
		if len(it.in.parts) > 0 {
			bodies[i], ok = it.in.joined(found, l.subjectOf(t, kindPart), it.from, it.to)
		} else {
			text, seen := inline[it.in.seq]
			if !seen && found[it.in.seq].seq != 0 {
				r, err := decode(found[it.in.seq].data)
				if err != nil {
					return nil, false, l.broken(t.shard, it.in.seq)
				}
				text = r.pieces.inline
				inline[it.in.seq] = text
			}
			if ok = it.to <= len(text); ok { // else another record is at that number: the stream lost its tail
				bodies[i] = bytes.Clone(text[it.from:it.to])
			}
		}
		if !ok && !doubted {
			return nil, false, nil
		}
	}
	return bodies, true, nil
}
