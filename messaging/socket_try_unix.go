//go:build unix

package messaging

import (
	"errors"
	"io"
	"syscall"
)

// canTry says that connections can be written to without waiting.
const canTry = true

// An attempt is a write that does not wait. It may be used again.
type attempt struct {
	b   []byte
	n   int
	err error
	fn  func(fd uintptr) bool // do, made once
}

// write writes what a connection takes at once.
func (a *attempt) write(raw syscall.RawConn, b []byte) (int, error) {
	if a.fn == nil {
		a.fn = a.do
	}
	a.b, a.n, a.err = b, 0, nil
	err := raw.Write(a.fn)
	a.b = nil
	return a.n, errors.Join(err, a.err)
}

// do is called with the connection's descriptor, which does not block; true says
// that it is not to be called again when there is room.
func (a *attempt) do(fd uintptr) bool {
	for a.n < len(a.b) {
		n, err := syscall.Write(int(fd), a.b[a.n:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			a.err = err
			return true
		case n == 0:
			a.err = io.ErrUnexpectedEOF
			return true
		}
		a.n += n
	}
	return true
}
