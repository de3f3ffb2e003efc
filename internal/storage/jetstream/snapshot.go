package jetstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// A savedSnapshot is what stands in a message on a topic's snapshot subject.
type savedSnapshot struct {
	seq    uint64 // of the message; it is the snapshot's revision
	at     messaging.Pos
	size   int
	pieces pieces
}

func (s *savedSnapshot) encode() []byte {
	b := []byte{recordForm}
	b = binary.BigEndian.AppendUint64(b, s.at.Epoch)
	b = binary.BigEndian.AppendUint64(b, s.at.Seq)
	b = append(b, s.at.Tag[:]...)
	b = binary.AppendUvarint(b, uint64(s.size))
	return s.pieces.append(b)
}

// saved returns the snapshot message of a topic; its seq is 0 when there is none.
func (l *Log) saved(ctx context.Context, t *topic) (savedSnapshot, error) {
	m, ok, err := l.newest(ctx, t.shard, l.subjectOf(t, kindSnap))
	if err != nil || !ok {
		return savedSnapshot{}, err
	}
	in := reader{rest: m.data}
	form := in.byte()
	s := savedSnapshot{seq: m.seq, at: messaging.Pos{Epoch: in.uint64(), Seq: in.uint64()}}
	copy(s.at.Tag[:], in.bytes(len(s.at.Tag)))
	s.size = int(min(in.uvarint(), 1<<40))
	in.pieces(&s.pieces)
	if form != recordForm || in.bad || len(s.pieces.seqs) == 0 && len(s.pieces.inline) != s.size {
		return savedSnapshot{}, unavailable(fmt.Errorf("jetstream: a stored snapshot is broken: message %d of stream %s", m.seq, l.streamName(t.shard)))
	}
	return s, nil
}

// LoadSnapshot implements messaging.Log.
func (l *Log) LoadSnapshot(ctx context.Context, name messaging.Topic) (messaging.Snapshot, messaging.Rev, error) {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return messaging.Snapshot{}, 0, err
	}
	defer done()
	t := l.use(name)
	defer l.done(t)
	for {
		s, err := l.saved(ctx, t)
		if err != nil || s.seq == 0 {
			return messaging.Snapshot{}, 0, err
		}
		epoch, err := l.epoch(ctx, t)
		if err != nil || epoch != s.at.Epoch {
			return messaging.Snapshot{}, 0, err // what a late saver left of a topic that was dropped
		}
		data := s.pieces.inline
		if len(s.pieces.seqs) > 0 {
			in := home{parts: s.pieces.seqs, size: s.pieces.size}
			found, ok, err := l.exact(ctx, t.shard, s.pieces.seqs)
			if err != nil {
				return messaging.Snapshot{}, 0, err
			}
			if ok {
				data, ok = in.joined(found, l.subjectOf(t, kindCut), 0, s.size)
			}
			if !ok { // replaced meanwhile
				if !wait(ctx, lagPause) {
					return messaging.Snapshot{}, 0, context.Cause(ctx)
				}
				continue
			}
		}
		return messaging.Snapshot{At: s.at, Data: data}, messaging.Rev(s.seq), nil
	}
}

// epoch returns the epoch of a topic, 0 when it has none.
func (l *Log) epoch(ctx context.Context, t *topic) (uint64, error) {
	m, ok, err := l.newest(ctx, t.shard, l.subjectOf(t, kindLog))
	if err != nil || !ok {
		return 0, err
	}
	r, err := decode(m.data)
	if err != nil {
		return 0, l.broken(t.shard, m.seq)
	}
	return r.epoch, nil
}

// SaveSnapshot implements messaging.Log.
func (l *Log) SaveSnapshot(ctx context.Context, name messaging.Topic, expect messaging.Rev, s messaging.Snapshot) (messaging.Rev, error) {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	t := l.use(name)
	defer l.done(t)
	for began := time.Now(); time.Since(began) < 2*l.conf.Timeout; {
		old, err := l.mayReplace(ctx, t, expect, s.At)
		if errors.Is(err, errFurther) {
			if err := l.wholly(ctx, t); err != nil {
				return 0, err
			}
			continue
		}
		if err != nil {
			return 0, err
		}
		next := savedSnapshot{at: s.At, size: len(s.Data)}
		if next.pieces, err = l.cut(ctx, t, kindCut, [][]byte{s.Data}); err != nil {
			return 0, err
		}
		next.seq, err = l.publish(ctx, l.subjectOf(t, kindSnap), &old.seq, true, next.encode())
		switch {
		case err == nil:
			return messaging.Rev(next.seq), l.tidySnapshots(ctx, t, old, next)
		case !errors.Is(err, messaging.ErrUncertain):
			l.uncut(t, next.pieces)
		}
		if !errors.Is(err, errMoved) {
			return 0, err
		}
	}
	return 0, messaging.ErrConflict
}

// mayReplace returns the snapshot message that one at a position replaces.
func (l *Log) mayReplace(ctx context.Context, t *topic, expect messaging.Rev, at messaging.Pos) (savedSnapshot, error) {
	old, err := l.saved(ctx, t)
	if err != nil {
		return old, err
	}
	if _, err := l.catchUp(ctx, t); err != nil {
		return old, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.state
	if at.IsZero() {
		return old, s.lost()
	}
	if s.epoch != 0 && at.Epoch == s.epoch {
		rev, before := messaging.Rev(0), uint64(0)
		if old.seq != 0 && old.at.Epoch == s.epoch {
			rev, before = messaging.Rev(old.seq), old.at.Seq
		}
		if expect != rev || at.Seq < before {
			return old, messaging.ErrConflict
		}
	}
	_, err = s.find(at)
	return old, err
}

// tidySnapshots removes what a new snapshot leaves behind: the pieces of the one
// it replaced, and itself when its topic was dropped while it was saved.
func (l *Log) tidySnapshots(ctx context.Context, t *topic, old, next savedSnapshot) error {
	epoch, err := l.epoch(ctx, t)
	if err == nil && epoch != next.at.Epoch {
		for _, kind := range []string{kindSnap, kindCut} {
			if err := l.purge(ctx, t.shard, l.subjectOf(t, kind), next.seq+1); err != nil {
				return err
			}
		}
		return l.lost(ctx, t)
	}
	if len(old.pieces.seqs) > 0 {
		below := next.seq
		if len(next.pieces.seqs) > 0 {
			below = next.pieces.seqs[0]
		}
		_ = l.purge(ctx, t.shard, l.subjectOf(t, kindCut), below) // the next one's removes them too
	}
	return nil // it is saved, whatever could not be looked up
}

// lost says that a position was in an epoch that is over.
func (l *Log) lost(ctx context.Context, t *topic) error {
	if _, err := l.catchUp(ctx, t); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.lost()
}
