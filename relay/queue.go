package relay

import (
	"strings"
	"sync/atomic"
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

	policies // how many there are
)

// String returns the policy's name, as metrics have it.
func (o Overflow) String() string {
	if o == DropOldest {
		return "drop-oldest"
	}
	return "close"
}

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

// A queue holds the frames that wait for one connection, one a message, bounded in
// bytes and messages. Their bytes are shared with the queues of others and never
// changed. All but behind and dropped is guarded by whoever has the queue.
type queue struct {
	maxBytes    int      // static
	maxMessages int      // static
	policy      Overflow // static

	behind  atomic.Bool   // it is at least half full
	dropped atomic.Uint64 // messages that made room for others

	ring    [][]byte // n frames from head on, around the end
	head, n int
	bytes   int
}

// put adds a frame. It returns false when the queue is full and its policy is to
// close.
func (q *queue) put(frame []byte) bool {
	for q.n > 0 && (q.n >= q.maxMessages || q.bytes+len(frame) > q.maxBytes) {
		if q.policy == Close {
			return false
		}
		q.shift()
		q.dropped.Add(1)
	}
	q.push(frame)
	q.behind.Store(q.half())
	return true
}

// take appends to batch what may be written in one go: at least one frame if
// there is any, then more up to limits of bytes and frames. freed is set when the
// queue was behind and no longer is.
func (q *queue) take(batch [][]byte, bytes, frames int) (_ [][]byte, freed bool) {
	for size := 0; q.n > 0 && size < bytes && len(batch) < frames; {
		frame := q.shift()
		size += len(frame)
		batch = append(batch, frame)
	}
	half := q.half()
	return batch, q.behind.Swap(half) && !half
}

// clear empties the queue and returns how many frames were in it.
func (q *queue) clear() int {
	n := q.n
	q.ring, q.head, q.n, q.bytes = nil, 0, 0, 0
	q.behind.Store(false)
	return n
}

func (q *queue) half() bool {
	return q.n >= (q.maxMessages+1)/2 || q.bytes >= (q.maxBytes+1)/2
}

func (q *queue) push(frame []byte) {
	if q.n == len(q.ring) {
		grown := make([][]byte, max(4, 2*len(q.ring)))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = frame
	q.n++
	q.bytes += len(frame)
}

func (q *queue) shift() []byte {
	frame := q.ring[q.head]
	q.ring[q.head] = nil // let go of its bytes
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	q.bytes -= len(frame)
	return frame
}
