// Package mail hands letters over: to an SMTP server (smtp.go), or, where a
// laboratory only tries things out, to files (folder.go).
//
// It knows nothing of bookings and persons. Whoever writes a letter keeps it until
// Send has returned without an error, and calls again with the same letter and the
// same ID: receivers know by it what they have had already. An error that wraps
// ErrRefused is one that another attempt would not change.
//
//	letter.go  a letter, and the only place where it becomes a message
package mail

import (
	"context"
	"errors"
)

// ErrRefused says that a letter will not be taken, now or later: its address is
// none, or the server refused it for good (a reply of 5xx).
var ErrRefused = errors.New("mail: the letter was refused")

// A Sender hands letters over. It is safe for concurrent use.
type Sender interface {
	// Send returns nil once somebody else is responsible for the letter. It ends
	// with ctx; whether the letter is on its way then is not known.
	Send(ctx context.Context, l Letter) error
}
