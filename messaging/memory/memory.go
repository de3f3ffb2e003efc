// Package memory is a messaging.Log that lives and dies with its process. It is
// the oracle among the back ends: small enough to be seen to be right, and what
// tests run on. Nothing that must survive belongs in it.
package memory

import (
	"context"
	"iter"
	"sync"

	"github.com/lodge-gateway/lodge/messaging"
)

// A Log is a messaging.Log in memory.
type Log struct {
	hints messaging.Hints

	mu     sync.RWMutex
	topics map[messaging.Topic]*topic // guarded by mu, with all they hold
	closed bool                       // guarded by mu
}

var _ messaging.Log = (*Log)(nil)

// New returns an empty log.
func New() *Log { return &Log{topics: map[messaging.Topic]*topic{}} }

// Append implements messaging.Log.
func (l *Log) Append(ctx context.Context, name messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	for _, m := range msgs {
		if m.ID == "" {
			return nil, messaging.ErrNoID
		}
		if len(m.Body) > messaging.MaxBody {
			return nil, messaging.ErrTooLarge
		}
	}
	done, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	t := l.topics[name]
	if t == nil {
		t = newTopic()
	}
	added, err := t.append(msgs, ifHead)
	if err != nil {
		return nil, err
	}
	if t.last > 0 {
		l.topics[name] = t
		l.hints.Publish(name)
	}
	return added, nil
}

// Read implements messaging.Log.
func (l *Log) Read(ctx context.Context, name messaging.Topic, after messaging.Pos, limit int) (messaging.Page, error) {
	done, err := l.rlock(ctx)
	if err != nil {
		return messaging.Page{}, err
	}
	defer done()
	return l.topics[name].read(after, limit)
}

// ReadBack implements messaging.Log.
func (l *Log) ReadBack(ctx context.Context, name messaging.Topic, before messaging.Pos, limit int) (messaging.Page, error) {
	done, err := l.rlock(ctx)
	if err != nil {
		return messaging.Page{}, err
	}
	defer done()
	return l.topics[name].readBack(before, limit)
}

// Heads implements messaging.Log.
func (l *Log) Heads(ctx context.Context, names []messaging.Topic) ([]messaging.Pos, error) {
	done, err := l.rlock(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	heads := make([]messaging.Pos, len(names))
	for i, name := range names {
		heads[i] = l.topics[name].head()
	}
	return heads, nil
}

// Changes implements messaging.Log.
func (l *Log) Changes(ctx context.Context) iter.Seq2[messaging.Topic, error] {
	return l.hints.Changes(ctx)
}

// Discard implements messaging.Log.
func (l *Log) Discard(ctx context.Context, name messaging.Topic, through messaging.Pos) error {
	done, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer done()
	return l.topics[name].discard(through)
}

// Drop implements messaging.Log.
func (l *Log) Drop(ctx context.Context, name messaging.Topic) error {
	done, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer done()
	delete(l.topics, name)
	l.hints.Publish(name)
	return nil
}

// LoadSnapshot implements messaging.Log.
func (l *Log) LoadSnapshot(ctx context.Context, name messaging.Topic) (messaging.Snapshot, messaging.Rev, error) {
	done, err := l.rlock(ctx)
	if err != nil {
		return messaging.Snapshot{}, 0, err
	}
	defer done()
	s, rev := l.topics[name].loadSnapshot()
	return s, rev, nil
}

// SaveSnapshot implements messaging.Log.
func (l *Log) SaveSnapshot(ctx context.Context, name messaging.Topic, expect messaging.Rev, s messaging.Snapshot) (messaging.Rev, error) {
	done, err := l.lock(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	return l.topics[name].saveSnapshot(expect, s)
}

// Close implements messaging.Log.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.hints.Close()
	return nil
}

// lock begins a call that writes; the caller calls done at its end.
func (l *Log) lock(ctx context.Context) (done func(), err error) {
	l.mu.Lock()
	if err := l.check(ctx); err != nil {
		l.mu.Unlock()
		return nil, err
	}
	return l.mu.Unlock, nil
}

// rlock begins a call that reads; the caller calls done at its end.
func (l *Log) rlock(ctx context.Context) (done func(), err error) {
	l.mu.RLock()
	if err := l.check(ctx); err != nil {
		l.mu.RUnlock()
		return nil, err
	}
	return l.mu.RUnlock, nil
}

func (l *Log) check(ctx context.Context) error {
	if l.closed {
		return messaging.ErrClosed
	}
	return ctx.Err()
}
