//go:build unix

package ws

import (
	"errors"
	"io"
	"syscall"
)

// CanTry says that connections can be read and written without waiting.
const CanTry = true

// A Writer writes to connections without waiting. It may be used again, by one
// goroutine at a time.
type Writer struct {
	b   []byte
	n   int
	err error
	fn  func(fd uintptr) bool // do, made once
}

// Write writes what a connection takes at once.
func (w *Writer) Write(raw syscall.RawConn, b []byte) (int, error) {
	if w.fn == nil {
		w.fn = w.do
	}
	w.b, w.n, w.err = b, 0, nil
	err := raw.Write(w.fn)
	w.b = nil
	return w.n, errors.Join(err, w.err)
}

// do is called with the connection's descriptor, which does not block; true says
// that it is not to be called again when there is room.
func (w *Writer) do(fd uintptr) bool {
	for w.n < len(w.b) {
		n, err := syscall.Write(int(fd), w.b[w.n:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			w.err = err
			return true
		case n == 0:
			w.err = io.ErrUnexpectedEOF
			return true
		}
		w.n += n
	}
	return true
}

// TryRead reads from a descriptor that does not block; ok is false when nothing
// is there yet.
func TryRead(fd uintptr, b []byte) (n int, ok bool, err error) {
	for {
		n, err = syscall.Read(int(fd), b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, false, nil
		case err != nil:
			return 0, true, err
		case n == 0:
			return 0, true, io.EOF
		}
		return n, true, nil
	}
}
