package relay

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
)

// A Grant is the right of one session to one topic.
type Grant struct {
	Tenant     lodge.Tenant
	Session    string // public id; the code itself stays with Access
	Kind       string // experiment, host, service
	Person     lodge.PersonID
	Name       string
	Booking    string
	Experiment string
	Topic      string
	Read       bool
	Write      bool
	Held       bool      // would have Write if its person had control, and waits for it
	Ends       time.Time // zero: never
	MaxMessage int64     // bounds the messages that it may send, in bytes; zero: Options.MaxMessage does
}

func (g Grant) ended(now time.Time) bool { return !g.Ends.IsZero() && !now.Before(g.Ends) }

// Access knows who may use which topic. Its methods are called concurrently and
// must return when their context ends.
//
// What it refuses, it refuses with a *Refusal or a *lodge.Error of the codes
// unauthenticated, forbidden, not-found or conflict. Every other error (such as
// unavailable) means that it could not find out: a new connection is refused
// with 503, a live one lasts until its lease ends.
type Access interface {
	// Grant returns what a code gives its holder on a topic of a tenant.
	Grant(ctx context.Context, tenant lodge.Tenant, code, topic string) (Grant, error)
	// Renew reads a grant again, by its session and topic, past any cache that
	// could hold what was true before the last hint.
	Renew(ctx context.Context, grant Grant) (Grant, error)
	// Watch calls hint whenever the grant may have changed, until stop is
	// called. hint does not block and may be called at any time from any
	// goroutine, even shortly after stop. The relay registers first and reads
	// (Renew) afterwards, so that no change falls in between.
	Watch(grant Grant, hint func()) (stop func())
}

// An Observer is told of every connection that was opened: Joined, and later
// exactly once Left, both with the grant it was opened with. It is called on the
// connection's own goroutine and should return soon.
type Observer interface {
	Joined(Grant, time.Time)
	Left(Grant, time.Time)
}

type nobody struct{}

func (nobody) Joined(Grant, time.Time) {}
func (nobody) Left(Grant, time.Time)   {}

// The codes of the close frames that end a connection.
const (
	StatusGoingAway = websocket.StatusGoingAway               // 1001: this node stops
	StatusTooSlow   = websocket.StatusTryAgainLater           // 1013: could not keep up
	StatusExpired   = websocket.StatusCode(4401)              // the session or booking has ended
	StatusRevoked   = websocket.StatusCode(4403)              // cancelled, revoked, or no right to the topic
	StatusLeaseLost = websocket.StatusCode(4408)              // nobody could say whether the code is still good
	StatusOffline   = websocket.StatusCode(4409)              // the experiment was taken off-line
	StatusNotText   = websocket.StatusInvalidFramePayloadData // 1007: a text message that is not UTF-8
)

// A Refusal is an answer of Access about a session that it knows and refuses
// nevertheless. It is sent as an HTTP status before a connection is opened, and
// as a close frame to one that is open.
type Refusal struct {
	Close  websocket.StatusCode // StatusExpired, StatusRevoked or StatusOffline
	Reason string               // for people; says what to do; at most 123 bytes reach a close frame
}

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

// Status returns the HTTP status of the refusal.
func (r *Refusal) Status() int {
	switch r.Close {
	case StatusExpired:
		return http.StatusUnauthorized
	case StatusOffline:
		return http.StatusConflict
	case StatusLeaseLost, StatusGoingAway:
		return http.StatusServiceUnavailable
	default:
		return http.StatusForbidden
	}
}

// refusalOf returns the refusal that an error of Access stands for, and false
// when it says only that Access could not find out.
func refusalOf(err error) (*Refusal, bool) {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r, true
	}
	e, ok := errors.AsType[*lodge.Error](err)
	if !ok {
		return nil, false
	}
	switch e.Code {
	case lodge.CodeUnauthenticated:
		return &Refusal{StatusExpired, e.Safe}, true
	case lodge.CodeForbidden, lodge.CodeNotFound:
		return &Refusal{StatusRevoked, e.Safe}, true
	case lodge.CodeConflict:
		return &Refusal{StatusOffline, e.Safe}, true
	default:
		return nil, false
	}
}

// maxReason is what a close frame holds beside its code (RFC 6455 section 5.5).
const maxReason = 123

// fit shortens a reason to what a close frame holds, between two characters.
func fit(reason string) string {
	reason = strings.ToValidUTF8(reason, "?")
	if len(reason) <= maxReason {
		return reason
	}
	cut := maxReason - len("…")
	for !utf8.RuneStart(reason[cut]) {
		cut--
	}
	return reason[:cut] + "…"
}
