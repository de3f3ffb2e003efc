package sessions

import (
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Kind says what a session is for, and so what its code opens.
type Kind string

// The kinds of session.
const (
	Login      Kind = "login"      // a person's browser, signed in through the institution
	Booking    Kind = "booking"    // opened with surname + reference: one booking, nothing else
	Experiment Kind = "experiment" // the code an experiment UI presents to the relay
	Host       Kind = "host"       // an experiment's hardware; nothing a user does revokes it
	Service    Kind = "service"    // automation
)

// An ID is the public handle of a session: the unpadded base64url of the SHA-256
// of its code's secret. It is safe to show and to log; the code is not.
type ID string

// A State is where a session is in its life. It is computed from the session's
// times and never stored.
type State string

// The states. Idle is not one of them: see Session.Idle.
const (
	Pending State = "pending"
	Active  State = "active"
	Expired State = "expired"
	Revoked State = "revoked"
)

// A Session is the server-side state that a code stands for.
type Session struct {
	ID      ID
	Tenant  lodge.Tenant
	Kind    Kind
	Version uint64 // grows by one with every stored change

	Person     lodge.PersonID // empty for hosts and services
	Name       string         // display name, written once at creation
	Groups     []string       // as of the last change of membership
	Bindings   []lodge.Binding
	Booking    string   // the booking's id: booking and experiment sessions
	Experiment string   // experiment and host sessions
	Scopes     []string // what a service may do, and which relay topics and rights a code opens: "read:pend00-data"
	Issuer     string   // login: the issuer's id, for logout
	Subject    string   // login: who signed in at the issuer (sub); empty for one from before this was kept
	IdPSession string   // login: the issuer's session id (sid), for back-channel logout
	Device     string   // login: user agent, shortened
	Address    string   // login: the client's address at creation

	// AuthenticatedAt is when, as the issuer says, the person last proved to it who
	// they are; zero when it does not say. Logins only.
	AuthenticatedAt time.Time

	CreatedAt time.Time
	SeenAt    time.Time // last activity; written at most once a minute
	NotBefore time.Time // pending until then; zero: at once
	// ExpiresAt is the session's end. For an experiment session it is the
	// booking's end and moves when the booking is extended.
	ExpiresAt time.Time
	// MessagesUntil is the end of the right to messages. For login sessions it
	// equals ExpiresAt and goes with it; booking and experiment sessions keep it
	// when the booking is cancelled.
	MessagesUntil time.Time
	// IdleAfter narrows an active session that was not seen for that long; zero
	// means never.
	IdleAfter time.Duration

	RevokedAt time.Time
	Reason    string // why it was revoked, in words a person can read

	// Data is the browser session's own small values (scs), compactly encoded.
	Data []byte
}

// State returns where the session is in its life at a time.
func (s *Session) State(now time.Time) State {
	switch {
	case !s.RevokedAt.IsZero():
		return Revoked
	case !now.Before(s.ExpiresAt):
		return Expired
	case now.Before(s.NotBefore):
		return Pending
	default:
		return Active
	}
}

// Idle reports whether the session, though active, was not seen for so long that
// it is narrowed: a page asks to continue, messages still arrive.
func (s *Session) Idle(now time.Time) bool {
	return s.IdleAfter > 0 && !now.Before(s.SeenAt.Add(s.IdleAfter))
}

// Messages reports whether the session still has the right to messages.
func (s *Session) Messages(now time.Time) bool {
	return now.Before(s.MessagesUntil)
}

// End is when nothing of the session is left and its record may be collected.
func (s *Session) End() time.Time {
	if s.MessagesUntil.After(s.ExpiresAt) {
		return s.MessagesUntil
	}
	return s.ExpiresAt
}

// Principal returns who acts through the session.
func (s *Session) Principal() lodge.Principal {
	return lodge.Principal{
		Tenant: s.Tenant, Person: s.Person, Session: string(s.ID), Kind: string(s.Kind), Name: s.Name,
		Groups: s.Groups, Bindings: s.Bindings, Booking: s.Booking, Experiment: s.Experiment,
	}
}
