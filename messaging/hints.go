package messaging

import (
	"context"
	"iter"
	"sync"
)

// Hints hands out which topics changed to those who iterate over Changes,
// within one process. It is what a back end's Changes is made of: Publish costs
// no more than a map entry per listener and never waits for one, and a listener
// that is slow gets each topic once, however often it changed. The zero value
// is ready for use.
type Hints struct {
	mu        sync.Mutex
	listeners map[*listener]struct{} // guarded by mu
	closed    bool                   // guarded by mu
}

// listener is one iteration; its fields are guarded by Hints.mu.
type listener struct {
	pending map[Topic]struct{}
	wake    chan struct{} // capacity 1: there is something pending, or the end
}

func (l *listener) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // already told
	}
}

// Publish hints that topic changed.
func (h *Hints) Publish(topic Topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		l.pending[topic] = struct{}{}
		l.signal()
	}
}

// Close ends every iteration, each with ErrClosed. It may be repeated.
func (h *Hints) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for l := range h.listeners {
		l.signal()
	}
}

// Changes yields the topics published from when the iteration begins, in no
// particular order, until ctx ends, or until Close, which yields ErrClosed.
func (h *Hints) Changes(ctx context.Context) iter.Seq2[Topic, error] {
	return func(yield func(Topic, error) bool) {
		l := &listener{pending: map[Topic]struct{}{}, wake: make(chan struct{}, 1)}
		h.mu.Lock()
		if h.listeners == nil {
			h.listeners = map[*listener]struct{}{}
		}
		h.listeners[l] = struct{}{}
		h.mu.Unlock()
		defer func() {
			h.mu.Lock()
			delete(h.listeners, l)
			h.mu.Unlock()
		}()
		for {
			topics, closed := h.take(l)
			if closed {
				yield("", ErrClosed)
				return
			}
			for topic := range topics {
				if ctx.Err() != nil || !yield(topic, nil) {
					return
				}
			}
			select {
			case <-l.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}

// take returns what is pending for l and whether h is closed.
func (h *Hints) take(l *listener) (map[Topic]struct{}, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	topics := l.pending
	l.pending = map[Topic]struct{}{}
	return topics, h.closed
}
