package relay

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lodge-gateway/lodge/internal/ws"
)

const (
	// flushBytes and flushFrames are how much is gathered into one write to the
	// network, of what had to wait.
	flushBytes  = 32 << 10
	flushFrames = 64
	// maxControl bounds the control frames that wait, in bytes: a client that asks
	// faster than it listens is answered less often (RFC 6455 §5.5.3).
	maxControl = 1 << 10
)

// An outbox is all that goes out to one connection. What the connection takes at
// once is written by whoever has it, in one system call and without a wake-up;
// what it does not take waits in the queue, for a goroutine that is there only as
// long as something waits.
type outbox struct {
	wait time.Duration // static: how long a write may make no progress

	bytes    atomic.Uint64 // written of messages, with their frames
	messages atomic.Uint64 // written whole

	mu       sync.Mutex
	conn     net.Conn        // guarded by mu, as the rest; nil before it is opened
	raw      syscall.RawConn // nil where nothing can be tried
	queue    queue           // behind and dropped excepted
	rest     []byte          // of a message that is out in part
	control  []byte          // control frames
	last     []byte          // the close frame, or the rest of it
	said     bool            // a close frame has been sent, or is last
	closed   bool            // no message is taken any more
	flushing bool            // a goroutine writes what waits; nobody else does
	joined   bool            // no more goroutines
	flushers sync.WaitGroup  // at most one
}

// idle reports whether a frame may be tried now: nothing waits before it.
func (o *outbox) idle() bool { return o.raw != nil && !o.flushing && !o.waits() }

// waits reports whether there is something for a flusher to do.
func (o *outbox) waits() bool {
	return len(o.rest) > 0 || len(o.control) > 0 || o.queue.n > 0 || len(o.last) > 0
}

// openOutbox lets out what has come before the connection was there, and all that
// will.
func (p *peer) openOutbox(conn net.Conn) {
	o := &p.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conn = conn
	if s, ok := conn.(syscall.Conn); ok && ws.CanTry {
		if raw, err := s.SyscallConn(); err == nil {
			o.raw = raw
		}
	}
	p.flushLocked()
}

// deliver writes a batch, or as much of it as p takes now, and queues the rest. It
// is false, and p is ended, when the queue cannot take it.
func (p *peer) deliver(w *ws.Writer, b *batch) bool {
	o := &p.out
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return true
	}
	next, full := 0, false
	var err error
	if o.idle() {
		next, err = o.try(w, b)
	}
	for ; err == nil && next < len(b.ends); next++ {
		if full = !o.queue.put(b.keep(b.start(next), b.ends[next])); full {
			break
		}
	}
	p.flushLocked()
	o.mu.Unlock()
	switch {
	case err != nil:
		p.count.left.Add(uint64(len(b.ends) - next))
		p.lost()
		return false
	case full:
		p.count.overflow.Add(1)
		p.shut(StatusTooSlow, "This connection could not keep up and would have lost messages; connect again.")
		return false
	}
	return true
}

// try writes what the connection takes at once and returns how many messages are
// begun by that. Of the last of them a rest may be left.
func (o *outbox) try(w *ws.Writer, b *batch) (begun int, err error) {
	n, err := w.Write(o.raw, b.bytes)
	o.bytes.Add(uint64(n))
	for begun < len(b.ends) && b.ends[begun] <= n {
		begun++
	}
	o.messages.Add(uint64(begun))
	if begun < len(b.ends) && n > b.start(begun) {
		o.rest = b.keep(n, b.ends[begun])
		begun++
	}
	return begun, err
}

// sendControl sends a control frame before the messages that wait. After a close
// frame none is sent.
func (p *peer) sendControl(op byte, payload []byte) {
	o := &p.out
	frame := append([]byte{ws.FinBit | op, byte(len(payload))}, payload...)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said || len(o.control)+len(frame) > maxControl {
		return
	}
	if o.idle() {
		var w ws.Writer
		n, err := w.Write(o.raw, frame)
		if err != nil {
			return // the reader is told as well
		}
		frame = frame[n:]
	}
	o.control = append(o.control, frame...)
	p.flushLocked()
}

// sayClose sends a close frame, the first time that it is called.
func (p *peer) sayClose(frame []byte) {
	o := &p.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said {
		return
	}
	o.said = true
	if o.idle() {
		var w ws.Writer
		n, err := w.Write(o.raw, frame)
		if err != nil {
			return // there is nobody left to tell
		}
		frame = frame[n:]
	}
	o.last = frame
	p.flushLocked()
}

// close lets no more messages in and forgets those that wait, but for what
// is out in part. It returns how many they are.
func (o *outbox) close() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return o.queue.clear()
}

// sever cuts the connection, whatever it is doing.
func (o *outbox) sever() {
	o.mu.Lock()
	conn := o.conn
	o.mu.Unlock()
	if conn != nil {
		_ = conn.Close() // it is being given up, with whatever waits in it
	}
}

// join waits for the flusher, if there is one, and lets none begin.
func (o *outbox) join() {
	o.mu.Lock()
	o.joined = true
	o.mu.Unlock()
	o.flushers.Wait()
}

// flushLocked has what waits written.
func (p *peer) flushLocked() {
	if o := &p.out; o.conn != nil && !o.flushing && !o.joined && o.waits() {
		o.flushing = true
		o.flushers.Go(p.flush)
	}
}

// flush writes what waits, several messages in one go, until nothing does.
func (p *peer) flush() {
	o := &p.out
	var room [flushFrames][]byte
	for {
		frames, messages, freed := o.next(room[:0])
		if freed {
			p.room.moved()
		}
		if len(frames) == 0 {
			return
		}
		if err := o.write(frames); err != nil {
			p.count.left.Add(uint64(messages))
			p.lost() // flushing stays set: nobody writes any more
			return
		}
		o.messages.Add(uint64(messages))
	}
}

// next takes what is to be written next, and how many messages that completes;
// when there is nothing the flusher has ended.
func (o *outbox) next(room [][]byte) (frames [][]byte, messages int, freed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames = room
	if len(o.rest) > 0 {
		frames, messages = append(frames, o.rest), 1
	}
	if len(o.control) > 0 {
		frames = append(frames, o.control)
	}
	o.rest, o.control = nil, nil
	before := len(frames)
	frames, freed = o.queue.take(frames, flushBytes, flushFrames-1)
	messages += len(frames) - before
	if len(o.last) > 0 && o.queue.n == 0 {
		frames = append(frames, o.last)
		o.last = nil
	}
	if len(frames) == 0 {
		o.flushing = false
		_ = o.conn.SetWriteDeadline(time.Time{}) // should that fail, so does the next write
	}
	return frames, messages, freed
}

// write writes frames whole. It gives up when not one byte was taken for wait; a
// connection that is merely slow is given its time. Every byte taken is counted
// soon.
func (o *outbox) write(frames net.Buffers) error {
	for {
		if err := o.conn.SetWriteDeadline(time.Now().Add(o.wait)); err != nil {
			return err
		}
		n, err := frames.WriteTo(o.conn)
		o.bytes.Add(uint64(n))
		if err == nil || n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}
