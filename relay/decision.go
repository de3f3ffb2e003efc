package relay

import (
	"errors"
	"net/http"
	"time"
)

// A Verdict says what a Decision did.
type Verdict string

// The verdicts.
const (
	VerdictRefused Verdict = "refused"  // a code, a ticket or an origin has not the right that a request needs
	VerdictDenied  Verdict = "denied"   // a booking was denied
	VerdictAllowed Verdict = "allowed"  // the denial of a booking was undone
	VerdictGivenUp Verdict = "given up" // a signed token was ended by its holder
)

// A Decision is what Options.Decided is told.
type Decision struct {
	Verdict Verdict
	Booking string    // denied, allowed
	Until   time.Time // denied, allowed, given up
	Token   string    // the id of the signed token that the request came with, if it is one
	Reason  string    // refused: what the client is told
}

// decided tells whoever keeps a record.
func (r *Relay) decided(req *http.Request, d Decision) {
	if code, err := codeOf(req); err == nil && d.Token == "" {
		if t, ok, err := r.access.token(r.opts.Tenant(req), code); ok && (err == nil || errors.Is(err, errTokenLate) || errors.Is(err, errTokenEarly)) {
			d.Token = t.id
		}
	}
	r.opts.Decided(req, d)
}
