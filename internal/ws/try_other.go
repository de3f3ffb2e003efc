//go:build !unix

package ws

import (
	"errors"
	"syscall"
)

// CanTry says that connections can be read and written without waiting.
const CanTry = false

// A Writer is of no use here: what does not wait there is nothing of, and
// connections are written to by goroutines of their own.
type Writer struct{}

// Write is not called.
func (*Writer) Write(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }

// TryRead is not called.
func TryRead(uintptr, []byte) (n int, ok bool, err error) { return 0, true, errors.ErrUnsupported }
