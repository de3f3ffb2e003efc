package messaging

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lodge-gateway/lodge/internal/ws"
)

// readBuffer is the room for what a client sends, in bytes: acknowledgements, and
// the beginning of all else.
const readBuffer = 256

// A wireConn is the connection below a websocket, shared by its reader, which also
// writes control frames, and the hub's writers, which write frames that are made
// already. Every call writes whole frames; the rest of one for which there was no
// room is written before anything else.
type wireConn struct {
	net.Conn
	raw    syscall.RawConn // nil where nothing can be tried
	unread []byte          // what came with the request; owned by the reader

	begun atomic.Bool // there is a rest

	mu     sync.Mutex // guards what follows
	rest   []byte     // of the frame that was begun
	broken error      // why nothing can be written any more
}

// takeOver answers a request that was checked, and takes its connection over.
func takeOver(w http.ResponseWriter, r *http.Request) (*wireConn, error) {
	conn, unread, err := ws.Upgrade(w, r)
	if err != nil {
		return nil, fmt.Errorf("messaging: %w", err)
	}
	wire := &wireConn{Conn: conn, unread: unread}
	if s, ok := conn.(syscall.Conn); ok && ws.CanTry {
		if raw, err := s.SyscallConn(); err == nil {
			wire.raw = raw
		}
	}
	return wire, nil
}

// What drain takes at most, in time and bytes.
const (
	drainTime  = 2 * time.Second
	drainBytes = 16 << 20
)

// drain reads on, for a while, what the other side has been told not to send:
// closing a connection on unread bytes resets it, and what told them would be
// lost with it.
func (w *wireConn) drain() {
	if w.SetReadDeadline(time.Now().Add(drainTime)) == nil {
		_, _ = io.CopyN(io.Discard, w.Conn, drainBytes) // it is closed next, whatever comes
	}
}

func (w *wireConn) Read(b []byte) (int, error) {
	if len(w.unread) > 0 {
		n := copy(b, w.unread)
		if w.unread = w.unread[n:]; len(w.unread) == 0 {
			w.unread = nil
		}
		return n, nil
	}
	return w.Conn.Read(b)
}

// control writes a control frame, within a limit.
func (w *wireConn) control(op byte, payload []byte, limit time.Duration) error {
	var b [2 + ws.MaxControl]byte
	b[0], b[1] = ws.FinBit|op, byte(len(payload))
	n := 2 + copy(b[2:], payload)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("messaging: write limit: %w", err)
	}
	if err := w.flushLocked(); err != nil {
		return fmt.Errorf("messaging: write: %w", err)
	}
	if _, err := w.Conn.Write(b[:n]); err != nil {
		w.broken = err // some of a frame may be out
		return fmt.Errorf("messaging: write: %w", err)
	}
	if err := w.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("messaging: write limit: %w", err)
	}
	return nil
}

// owes reports whether a frame is out in part.
func (w *wireConn) owes() bool { return w.begun.Load() }

// offer writes as many frames as the connection takes at once, and of the next
// as much as there is room for; wire is the frames' bytes in one piece. It
// returns how many frames are begun. When that is fewer than there are, flush
// waits for room, as it does for the rest of a frame that is out in part.
func (w *wireConn) offer(try *ws.Writer, frames []*frame, wire []byte) (begun int, err error) {
	if !w.mu.TryLock() {
		return 0, nil // a control frame has no room, either
	}
	defer w.mu.Unlock()
	if w.broken != nil || len(w.rest) > 0 {
		return 0, w.broken
	}
	n := 0
	if w.raw != nil {
		if n, err = try.Write(w.raw, wire); err != nil {
			w.broken = err
			return 0, fmt.Errorf("messaging: write: %w", err)
		}
	}
	if n == len(wire) {
		return len(frames), nil
	}
	// At least one is begun, so that there is something to wait for.
	for i, f := range frames {
		if n < len(f.wire) {
			if n > 0 || i == 0 {
				w.rest = f.wire[n:]
				w.begun.Store(true)
				return i + 1, nil
			}
			return i, nil
		}
		n -= len(f.wire)
	}
	return len(frames), nil
}

// flush writes what is left of a frame, within a limit.
func (w *wireConn) flush(limit time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) == 0 {
		return w.broken
	}
	if err := w.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("messaging: write limit: %w", err)
	}
	if err := w.flushLocked(); err != nil {
		return fmt.Errorf("messaging: write: %w", err)
	}
	if err := w.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("messaging: write limit: %w", err)
	}
	return nil
}

func (w *wireConn) flushLocked() error {
	if w.broken != nil || len(w.rest) == 0 {
		return w.broken
	}
	if _, err := w.Conn.Write(w.rest); err != nil {
		w.broken = err
		return err
	}
	w.rest = nil
	w.begun.Store(false)
	return nil
}
