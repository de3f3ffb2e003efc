package bridge

import (
	"sync"

	"github.com/coder/websocket"
)

// A message is what one side sent.
type message struct {
	kind websocket.MessageType
	data []byte
}

// An outbox holds what waits for the relay, bounded in bytes. It takes messages
// while it is open, and drops the oldest for the newest.
type outbox struct {
	maxBytes int           // static
	wake     chan struct{} // capacity 1: there may be something to take

	mu      sync.Mutex
	open    bool // guarded by mu, as is what follows
	waiting []message
	bytes   int
	closed  uint64 // messages that came while it was not open
	oldest  uint64 // messages that made room for newer ones, or were left when it closed
}

func newOutbox(maxBytes int) *outbox {
	return &outbox{maxBytes: maxBytes, wake: make(chan struct{}, 1)}
}

// put adds a message, unless nobody takes them now.
func (o *outbox) put(m message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open {
		o.closed++
		return
	}
	drop := 0
	for o.bytes+len(m.data) > o.maxBytes && drop < len(o.waiting) {
		o.bytes -= len(o.waiting[drop].data)
		o.waiting[drop] = message{} // let go of its data
		drop++
	}
	o.oldest += uint64(drop)
	o.waiting = append(o.waiting[drop:], m)
	o.bytes += len(m.data)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits, in order.
func (o *outbox) take() []message {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.waiting
	o.waiting, o.bytes = nil, 0
	return all
}

// set opens or closes the outbox; what waits is dropped either way.
func (o *outbox) set(open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = open
	o.oldest += uint64(len(o.waiting))
	o.waiting, o.bytes = nil, 0
}

// drops returns how many messages were dropped while the relay could not be
// reached, and because it was too slow.
func (o *outbox) drops() (unreached, slow uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed, o.oldest
}
