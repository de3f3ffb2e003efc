package sessions

import (
	"context"
	"sync"
)

// localQueue is how many signals may wait for one subscriber of a LocalSignals
// before it is told to look at everything instead.
const localQueue = 256

// LocalSignals are Signals within one process.
type LocalSignals struct {
	mu   sync.Mutex
	subs map[*localSub]struct{} // guarded by mu
}

type localSub struct {
	queue []Signal      // guarded by LocalSignals.mu
	wake  chan struct{} // capacity 1
}

// NewLocalSignals returns Signals for an installation of one process.
func NewLocalSignals() *LocalSignals {
	return &LocalSignals{subs: map[*localSub]struct{}{}}
}

// Publish hands a signal to each subscriber; it never waits for one.
func (l *LocalSignals) Publish(_ context.Context, s Signal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for sub := range l.subs {
		sub.push(s)
	}
	return nil
}

// push queues a signal; a queue that has grown too long becomes the one signal
// that stands for all.
func (sub *localSub) push(s Signal) {
	if len(sub.queue) >= localQueue {
		sub.queue, s = sub.queue[:0], Signal{}
	}
	sub.queue = append(sub.queue, s)
	select {
	case sub.wake <- struct{}{}:
	default:
	}
}

// Subscribe calls fn for each signal until ctx ends.
func (l *LocalSignals) Subscribe(ctx context.Context, fn func(Signal)) error {
	sub := &localSub{wake: make(chan struct{}, 1)}
	l.mu.Lock()
	l.subs[sub] = struct{}{}
	sub.push(Signal{})
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.subs, sub)
		l.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-sub.wake:
		}
		l.mu.Lock()
		queue := sub.queue
		sub.queue = nil
		l.mu.Unlock()
		for _, s := range queue {
			fn(s)
		}
	}
}
