//go:build !unix

package messaging

import (
	"errors"
	"syscall"
)

// canTry says that connections can be written to without waiting.
const canTry = false

// An attempt is a write that does not wait, which there is none of here: each
// connection with something to write goes on in a goroutine of its own.
type attempt struct{}

func (*attempt) write(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }
