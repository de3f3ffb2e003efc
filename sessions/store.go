package sessions

import (
	"context"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
)

// What a store answers, and what a Manager's errors wrap.
var (
	ErrUnknown = errors.New("sessions: no such session")
	ErrExists  = errors.New("sessions: the id is taken")
	ErrStale   = errors.New("sessions: the session has changed since it was read")
	ErrPending = errors.New("sessions: the session has not begun")
	ErrExpired = errors.New("sessions: the session has ended")
	ErrRevoked = errors.New("sessions: the session was revoked")
)

// A Store keeps sessions. It knows ids and never sees a code. Every method is
// safe for concurrent use; any error other than those named here means that the
// store could not be reached or did not answer, and says nothing about the
// session.
//
// A revoked session stays in the store, as a tombstone, until Collect removes it
// after its End. Tenant, ID, Kind, Person, Booking, Issuer, Subject and IdPSession never
// change after Create.
type Store interface {
	// Create stores a new session; its Version must be 1. ErrExists when the
	// tenant has a session of that id, unless it is the very same one (a retry).
	Create(ctx context.Context, s Session) error

	// CreateCapped is Create for a session with a person and, in the same atomic
	// step, revokes those sessions of the person and of s's kind that c.Surplus
	// names among the stored ones. It returns them as they are stored now. However
	// many are created at once, the person never has more live ones than the limit.
	CreateCapped(ctx context.Context, s Session, c Cap) (ended []Session, err error)

	// Get reads sessions of one tenant in one round trip. Those that are not there
	// are absent from the map; revoked and ended ones are in it.
	Get(ctx context.Context, tenant lodge.Tenant, ids []ID) (map[ID]Session, error)

	// Update replaces the stored session with s at Version s.Version+1, if the
	// stored Version is s.Version; otherwise ErrStale and nothing is changed.
	// ErrUnknown when there is none. ErrRevoked when the stored session is revoked
	// and s is not: nothing brings a session back.
	Update(ctx context.Context, s Session) error

	// List returns the sessions that match a filter, ordered by ID.
	List(ctx context.Context, tenant lodge.Tenant, f Filter) ([]Session, error)

	// Collect removes the sessions of all tenants whose End is before a time, and
	// returns how many.
	Collect(ctx context.Context, before time.Time) (int, error)

	// Ping returns nil when the store answers and may be trusted.
	Ping(ctx context.Context) error
}

// A Filter selects sessions of a tenant. Empty fields select everything.
type Filter struct {
	Person     lodge.PersonID
	Booking    string
	Kind       Kind
	Issuer     string // counts only together with IdPSession
	IdPSession string

	After ID  // only sessions whose ID is greater: the last one of the page before
	Limit int // at most so many; 0 means all
}

// Matches reports whether a session is one that the filter selects, leaving
// After and Limit aside.
func (f Filter) Matches(s *Session) bool {
	return (f.Person == "" || f.Person == s.Person) &&
		(f.Booking == "" || f.Booking == s.Booking) &&
		(f.Kind == "" || f.Kind == s.Kind) &&
		(f.IdPSession == "" || f.IdPSession == s.IdPSession && f.Issuer == s.Issuer)
}

// A Revocation is the durable fact that a session was revoked.
type Revocation struct {
	Tenant        lodge.Tenant
	ID            ID
	At            time.Time
	Reason        string
	MessagesUntil time.Time // end of the right to messages that was left to it
	End           time.Time // the session's End: after it, the revocation no longer matters
}

// A Journal keeps revocations durably, apart from a session store that may lose
// its last writes in a failover or come back from an older copy. It is written
// before a revocation is answered, and what it says wins over the store.
type Journal interface {
	// Record makes revocations durable, all or none. Recording one again keeps the
	// earlier time, the earlier end of the right to messages and the later End.
	Record(ctx context.Context, rs ...Revocation) error

	// Standing returns the revocations whose End is not before a time; an empty
	// tenant means every tenant.
	Standing(ctx context.Context, tenant lodge.Tenant, at time.Time) ([]Revocation, error)

	// Collect removes the revocations whose End is before a time.
	Collect(ctx context.Context, before time.Time) (int, error)
}

// Apply makes a session what a revocation says it is and reports whether that
// changed anything. It is idempotent and never gives a right back.
func (r Revocation) Apply(s *Session) bool {
	changed := false
	if s.RevokedAt.IsZero() {
		s.RevokedAt, s.Reason, s.Data = r.At, r.Reason, nil
		// The end of the right to messages may be moved either way by the first
		// revocation, which decides what is left.
		s.MessagesUntil = r.MessagesUntil
		changed = true
	}
	if r.MessagesUntil.Before(s.MessagesUntil) {
		s.MessagesUntil = r.MessagesUntil
		changed = true
	}
	return changed
}

// A Signal is a hint that sessions have changed. What it announces is read from
// the store; one that is lost is made up for by the lease poll.
type Signal struct {
	// Tenant is empty in the signal that says: some may have been lost, look at
	// everything.
	Tenant lodge.Tenant
	IDs    []ID
	// Change is what became of them, when that is news to the person whose they
	// are; else both are empty.
	Change Change
	Person lodge.PersonID
}

// Signals carry hints between the nodes of an installation.
type Signals interface {
	// Publish sends a hint to every subscriber, this process's own included.
	Publish(ctx context.Context, s Signal) error

	// Subscribe calls fn, never concurrently, for each signal until ctx ends or the
	// subscription fails, and then returns why. The first call, once the
	// subscription stands, carries a Signal without a tenant.
	Subscribe(ctx context.Context, fn func(Signal)) error
}
