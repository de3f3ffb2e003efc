package relay

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
)

// Overflow says what happens when a connection's queue is full.
type Overflow int

const (
	// Close ends the connection that cannot keep up: of control data nothing may
	// be missing from the middle.
	Close Overflow = iota
	// DropOldest drops what has waited longest, and counts it: a picture is worth
	// less the older it is.
	DropOldest
)

// DefaultPolicy is DropOldest for topics whose last part says that they carry
// video or audio ("pend00-video"), and Close for the others.
func DefaultPolicy(topic string) Overflow {
	name := topic[strings.LastIndexByte(topic, '/')+1:]
	if i := strings.LastIndexByte(name, '-'); i >= 0 {
		name = name[i+1:]
	}
	switch name {
	case "video", "audio":
		return DropOldest
	default:
		return Close
	}
}

// A message is what one client sent. Its data is shared by all who receive it
// and never changed.
type message struct {
	kind websocket.MessageType
	data []byte
}

// A queue holds what waits for one connection, bounded in bytes and messages.
type queue struct {
	maxBytes    int           // static
	maxMessages int           // static
	policy      Overflow      // static
	wake        chan struct{} // holds one token when there may be something to take

	// behind is set while the queue is at least half full.
	behind atomic.Bool

	mu      sync.Mutex
	ring    []message // guarded by mu; n messages from head on, around the end
	head, n int
	bytes   int
	closed  bool
	dropped uint64
}

func newQueue(policy Overflow, maxBytes, maxMessages int) *queue {
	return &queue{policy: policy, maxBytes: maxBytes, maxMessages: maxMessages, wake: make(chan struct{}, 1)}
}

// put adds a message. It returns false when the queue is full and its policy is
// to close. A closed queue takes everything and keeps nothing.
func (q *queue) put(m message) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return true
	}
	for q.n > 0 && (q.n >= q.maxMessages || q.bytes+len(m.data) > q.maxBytes) {
		if q.policy == Close {
			q.mu.Unlock()
			return false
		}
		q.shift()
		q.dropped++
	}
	q.push(m)
	q.behind.Store(q.half())
	q.mu.Unlock()
	q.signal()
	return true
}

// take appends to batch what may be written in one go: at least one message if
// there is any, then more up to limit bytes. freed is set when the queue was
// behind and no longer is; open is false once the queue was closed.
func (q *queue) take(batch []message, limit int) (_ []message, freed, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for size := 0; q.n > 0 && size < limit; {
		m := q.shift()
		size += len(m.data)
		batch = append(batch, m)
	}
	half := q.half()
	freed = q.behind.Swap(half) && !half
	return batch, freed, !q.closed
}

// close empties the queue for good and returns how many messages were in it.
func (q *queue) close() int {
	q.mu.Lock()
	n := q.n
	q.ring, q.head, q.n, q.bytes, q.closed = nil, 0, 0, 0, true
	q.behind.Store(false)
	q.mu.Unlock()
	q.signal()
	return n
}

func (q *queue) drops() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) half() bool {
	return q.n >= (q.maxMessages+1)/2 || q.bytes >= (q.maxBytes+1)/2
}

func (q *queue) push(m message) {
	if q.n == len(q.ring) {
		grown := make([]message, max(4, 2*len(q.ring)))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = m
	q.n++
	q.bytes += len(m.data)
}

func (q *queue) shift() message {
	m := q.ring[q.head]
	q.ring[q.head] = message{} // let go of its data
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	q.bytes -= len(m.data)
	return m
}
