package relay

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	// batchBytes is how much is gathered into one write to the network, and
	// so the size of the buffers that connections borrow while they write.
	batchBytes = 32 << 10
	// readBuffer and frameBuffer are what each connection keeps: for bytes that
	// have arrived, and for frame headers and control frames on their way out.
	readBuffer  = 4 << 10
	frameBuffer = 256
)

var batches = sync.Pool{New: func() any { b := make([]byte, 0, batchBytes); return &b }}

// flushWait bounds how long Close is held up by what has not been sent yet.
const flushWait = 250 * time.Millisecond

// A wire is the network connection under a websocket. Between cork and uncork
// it gathers what is written, so that several frames leave in one system call,
// each of them whole; it bounds how long the other side may take nothing; and it
// counts bytes, by which a silent connection is told from a dead one.
type wire struct {
	net.Conn
	wait time.Duration // static: how long a write may make no progress

	head []byte // owned by the reader: what the HTTP server had read already

	in, out atomic.Uint64 // bytes read; bytes of messages written
	broken  atomic.Bool   // a write has failed

	writing chan struct{} // a mutex that Close can give up on
	corked  *[]byte       // guarded by writing
}

func newWire(conn net.Conn, wait time.Duration) *wire {
	return &wire{Conn: conn, wait: wait, writing: make(chan struct{}, 1)}
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.head) > 0 {
		n := copy(p, w.head)
		w.head = w.head[n:]
		return n, nil
	}
	n, err := w.Conn.Read(p)
	w.in.Add(uint64(n))
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.writing <- struct{}{}
	defer w.unlock()
	if w.corked == nil {
		return w.send(p, nil) // a control frame
	}
	if len(*w.corked)+len(p) > cap(*w.corked) {
		if err := w.flushLocked(); err != nil {
			return 0, err
		}
		if len(p) > cap(*w.corked) {
			return w.send(p, &w.out)
		}
	}
	*w.corked = append(*w.corked, p...)
	return len(p), nil
}

// cork starts gathering.
func (w *wire) cork() {
	w.writing <- struct{}{}
	defer w.unlock()
	w.corked = batches.Get().(*[]byte)
}

// uncork writes what was gathered and stops gathering.
func (w *wire) uncork() error {
	w.writing <- struct{}{}
	defer w.unlock()
	err := w.flushLocked()
	batches.Put(w.corked)
	w.corked = nil
	return err
}

// Close sends what was gathered, in which the last frame may be the one that
// says why, and closes the connection; a connection that does not take it soon
// is closed without.
func (w *wire) Close() error {
	timer := time.NewTimer(flushWait)
	defer timer.Stop()
	select {
	case w.writing <- struct{}{}:
		w.lastWordLocked()
		w.unlock()
	case <-timer.C:
	}
	return w.Conn.Close()
}

// lastWordLocked tries once: unlike send, it gives no time to slow connections.
func (w *wire) lastWordLocked() {
	if w.corked == nil || len(*w.corked) == 0 || w.broken.Load() {
		return
	}
	if w.SetWriteDeadline(time.Now().Add(flushWait)) == nil {
		_, _ = w.Conn.Write(*w.corked) // there is nobody left to tell
	}
	*w.corked = (*w.corked)[:0]
}

func (w *wire) unlock() { <-w.writing }

func (w *wire) flushLocked() error {
	if len(*w.corked) == 0 {
		return nil
	}
	_, err := w.send(*w.corked, &w.out)
	*w.corked = (*w.corked)[:0]
	return err
}

// send writes p whole. It gives up when not one byte was taken for wait; a
// connection that is merely slow is given its time. count, if any, grows with
// every byte taken.
func (w *wire) send(p []byte, count *atomic.Uint64) (int, error) {
	sent := 0
	for {
		if err := w.SetWriteDeadline(time.Now().Add(w.wait)); err != nil {
			w.broken.Store(true)
			return sent, err
		}
		n, err := w.Conn.Write(p[sent:])
		sent += n
		if count != nil {
			count.Add(uint64(n))
		}
		if err == nil {
			return sent, nil
		}
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			w.broken.Store(true)
			return sent, err
		}
	}
}

// accept completes the handshake. Origin and ticket have been checked.
func accept(rw http.ResponseWriter, r *http.Request, wait time.Duration, maxMessage int64) (*wire, *websocket.Conn, error) {
	h := &hijacker{ResponseWriter: rw, wait: wait}
	ws, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // its own check knows patterns only; ours is exact
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, nil, err
	}
	ws.SetReadLimit(maxMessage)
	return h.wire, ws, nil
}

// A hijacker hands the websocket library a wire and small buffers in place of
// the HTTP server's.
type hijacker struct {
	http.ResponseWriter
	wait time.Duration
	wire *wire
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.wire = newWire(conn, h.wait)
	if n := brw.Reader.Buffered(); n > 0 {
		h.wire.head = make([]byte, n)
		if _, err := brw.Read(h.wire.head); err != nil {
			_ = conn.Close() // the connection is of no use, and that is reported
			return nil, nil, err
		}
	}
	return h.wire, bufio.NewReadWriter(bufio.NewReaderSize(h.wire, readBuffer), bufio.NewWriterSize(h.wire, frameBuffer)), nil
}
