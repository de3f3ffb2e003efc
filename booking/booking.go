// Package booking keeps the booking register of a remote laboratory: what the
// laboratory offers (the Catalogue), who has booked what and when, and the
// six-character references with which people find their bookings again.
//
// A Desk is the one place where bookings are made, extended and cancelled. Each
// of these is one transaction of the Store that checks every rule of the policy
// and the diary of the experiment and writes the outcome together with an
// Effect: what the rest of the system has to do about it (end sessions, move
// expiries, send messages). The Desk answers when the effect has been carried
// out; one that could not be is kept and retried until it is.
//
// The package knows nothing of HTTP, sessions or messages: the gateway adapts
// them through Effects. Nor does it know any database: see Store.
package booking

import (
	"time"

	"github.com/lodge-gateway/lodge"
)

// A State is where a booking is in its life, at the moment it was read.
type State string

// The states of a booking.
const (
	Booked    State = "booked" // to come, or under way
	Cancelled State = "cancelled"
	Ended     State = "ended"
)

// A Booking gives its owner an experiment for a half-open interval of time.
type Booking struct {
	ID         string
	Tenant     lodge.Tenant
	Owner      lodge.PersonID
	OwnerName  string
	Surname    string
	Experiment string
	Slot       string
	Policy     string
	Group      string
	UISet      string
	Pool       string // whatever experiment of this pool was asked for; empty: this one

	Start, End   time.Time // whole seconds; End is the first moment after it
	Exclusive    bool      // false under a policy of unlimited users
	CreatedAt    time.Time
	CancelledAt  time.Time // zero unless cancelled
	CancelReason string
	Charged      time.Duration // usage counted against the policy
	CameAt       time.Time     // when somebody first came to use it; zero: nobody did
	ComeBy       time.Time     // when it is cancelled unless somebody came; zero: never
	Version      uint64        // grows by one with every stored change

	State State // computed when read; never stored
}

// StateAt returns the state of the booking at a time.
func (b Booking) StateAt(now time.Time) State {
	switch {
	case !b.CancelledAt.IsZero():
		return Cancelled
	case !now.Before(b.End):
		return Ended
	}
	return Booked
}

// Interval returns the time the booking was made for.
func (b Booking) Interval() Interval { return Interval{b.Start, b.End} }

// Over returns when the booking stops giving access: its end, or the moment of
// its cancellation.
func (b Booking) Over() time.Time {
	if !b.CancelledAt.IsZero() && b.CancelledAt.Before(b.End) {
		return b.CancelledAt
	}
	return b.End
}

// A Request asks for a booking.
type Request struct {
	Tenant  lodge.Tenant
	Person  lodge.PersonID
	Name    string   // the person's display name
	Surname string   // what a lookup will ask for; never guessed from Name
	Groups  []string // the person's groups, now
	Group   string   // the group to book through
	Slot    string
	Pool    string        // instead of a slot: any experiment of this pool
	Start   time.Time     // zero: now
	End     time.Time     // zero: Start + Length
	Length  time.Duration // used when End is zero
	Key     string        // idempotency key; empty: none
	Service string        // the name of the service that books for the person; empty: none
}

// An EffectKind says what happened.
type EffectKind string

// The kinds of effect.
const (
	EffectBooked    EffectKind = "booked"
	EffectExtended  EffectKind = "extended"
	EffectCancelled EffectKind = "cancelled"
	EffectReminder  EffectKind = "reminder"  // it begins soon
	EffectRotated   EffectKind = "rotated"   // its reference is another one now
	EffectControl   EffectKind = "control"   // with whom it is shared, or who of them has control; Reason says which
	EffectFreed     EffectKind = "freed"     // somebody on a waiting list can book
	EffectMoved     EffectKind = "moved"     // a booking, to another experiment
	EffectRenewed   EffectKind = "renewed"   // a booking's experiment has other streams
	EffectCatalogue EffectKind = "catalogue" // the catalogue changed: rights may have
	EffectOffered   EffectKind = "offered"   // the same, where there was no catalogue before
	EffectOffline   EffectKind = "offline"
	EffectOnline    EffectKind = "online"
)

// An Effect is what the rest of the system has to act on.
type Effect struct {
	ID     string // the same at every attempt: the key to make carrying it out idempotent
	Tenant lodge.Tenant
	Kind   EffectKind
	// Booking is the booking as it is stored at the attempt, which a later change
	// may have moved on; zero for effects on experiments.
	Booking    Booking
	Wait       Wait // of EffectFreed, as it is stored at the attempt; zero otherwise
	Experiment string
	Reason     string
	At         time.Time // when it happened
}

// An ExperimentState says whether an experiment is in service.
type ExperimentState struct {
	Experiment string
	Online     bool
	Reason     string
	By         string // who set it, as SetState was told
	Since      time.Time
}
