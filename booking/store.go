package booking

import (
	"context"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
)

// What a Store answers besides errors of its own.
var (
	ErrUnknown = errors.New("booking: not there")
	ErrStale   = errors.New("booking: changed meanwhile")
	ErrOverlap = errors.New("booking: the experiment is taken at that time")
	ErrExists  = errors.New("booking: taken")
)

// A Store keeps everything a Desk knows. Implementations are tested by
// bookingtest.
type Store interface {
	// Update runs fn in one transaction that is isolated from all others as if
	// they ran one after the other, and returns when it is durable. An error of
	// fn undoes everything and is returned as it is. fn may be run more than
	// once and must touch nothing but tx and what it assigns anew each time.
	Update(ctx context.Context, fn func(tx Tx) error) error
	// View runs fn on one consistent snapshot; fn must not write.
	View(ctx context.Context, fn func(tx Tx) error) error
}

// A Tx is what a transaction can do. Times come back in UTC with microseconds.
type Tx interface {
	Objects
	Places
	Diary
	Owners
	References
	Outbox
	States
	Mails
	Reminders
	Links
	Arrivals
	Waits
	Partners
}

// Diary keeps bookings.
type Diary interface {
	// Insert adds a booking as version 1. It returns ErrOverlap when it is
	// exclusive and another live exclusive booking of the experiment shares a
	// moment with it, and ErrExists when the key was used before for MadeFor.
	Insert(Record) error
	// Save replaces what may change (end, cancellation, charge, ComeBy) when the stored
	// version is b.Version, and stores the next one; else ErrStale. ErrOverlap
	// as for Insert.
	Save(Booking) error
	// Booking returns ErrUnknown when there is none.
	Booking(t lodge.Tenant, id string) (Record, error)
	// ByKey finds a booking by the idempotency key of whom it was made for, or
	// ErrUnknown.
	ByKey(t lodge.Tenant, madeFor lodge.PersonID, key []byte) (Record, error)
	// Busy returns the intervals of live exclusive bookings of an experiment,
	// except one, that share a moment with within, by start; at most limit.
	Busy(t lodge.Tenant, experiment, except string, within Interval, limit int) ([]Interval, error)
	// Diaries is Busy for several experiments in one look, but for the order; those
	// with nothing in their diary may be left out.
	Diaries(t lodge.Tenant, experiments []string, within Interval, limit int) (map[string][]Interval, error)
	// List returns bookings, cancelled ones too, by start.
	List(lodge.Tenant, Filter) ([]Booking, error)
	// Tally returns how many live bookings of a person under a policy end after
	// now, and what all that person's bookings under it are charged.
	Tally(t lodge.Tenant, owner lodge.PersonID, policy string, now time.Time) (live int, charged time.Duration, err error)
}

// A Record is a booking with what is stored beside it and never shown as it is.
type Record struct {
	Booking
	MadeFor   lodge.PersonID // the first owner; never changes
	Key       []byte         // hash of the idempotency key; nil: none
	Digest    []byte         // hash of the request that used the key
	Sealed    []byte         // the reference, sealed for display; nil once it is dead
	SealedKey string         // id of the key that sealed it
}

// A Filter selects bookings; what is empty selects all.
type Filter struct {
	Owner      lodge.PersonID
	Experiment string
	Within     Interval // bookings that share a moment with it; a zero End is open
	Limit      int
}

// Owners say who has the bookings that were made for a person: somebody else
// once the two turned out to be one.
type Owners interface {
	// Owner returns who has them, and those to come: the person, unless SetOwner
	// said otherwise.
	Owner(t lodge.Tenant, person lodge.PersonID) (lodge.PersonID, error)
	// SetOwner gives to owner every booking that was made for a person, whoever has
	// it now, and those to come; the person as their own owner undoes that. It
	// stores the next version of each booking that changes hands, and returns their
	// ids.
	SetOwner(t lodge.Tenant, person, owner lodge.PersonID) (moved []string, err error)
	// Anonymise removes what tells who has, or had, the bookings that are a
	// person's or were made for them: names, references for display, and the hashes
	// that a surname with a reference is found by. It stores the next version of
	// each, and returns how many there are.
	Anonymise(t lodge.Tenant, person lodge.PersonID) (int, error)
}

// References keep keyed hashes of references and of surnames with references,
// and how often lookups were tried.
type References interface {
	// AddReference stores the hash of a reference and those of its surname
	// folds. It returns ErrExists when the reference's hash is taken.
	AddReference(t lodge.Tenant, booking, pepper string, reference []byte, folds [][]byte) error
	// HasReference reports whether a reference's hash is taken.
	HasReference(t lodge.Tenant, reference []byte) (bool, error)
	// DropReference removes what a booking is found by.
	DropReference(t lodge.Tenant, booking string) error
	// Reseal replaces the sealed copy of a booking's reference and stores the
	// booking's next version.
	Reseal(t lodge.Tenant, booking string, sealed []byte, key string) error
	// FindFold returns the id of the booking that a fold belongs to, or ErrUnknown.
	FindFold(t lodge.Tenant, fold []byte) (string, error)
	// Forget removes references, with their folds and sealed copies, of bookings
	// that were over before then, and rates that ran out before now.
	Forget(then, now time.Time) (int, error)
	// Rate returns the theoretical arrival time kept under a key; zero: none.
	Rate(t lodge.Tenant, key []byte) (time.Time, error)
	SetRate(t lodge.Tenant, key []byte, at time.Time) error
}

// Outbox keeps effects until they have been carried out, in order by subject.
type Outbox interface {
	// Enqueue adds an effect; of its booking and its wait only the ids are stored.
	Enqueue(subject string, e Effect) error
	// Next returns the oldest effect of a subject and how often it was tried,
	// or ErrUnknown. Its booking and its wait hold their ids alone.
	Next(t lodge.Tenant, subject string) (Effect, int, error)
	// Due returns subjects whose oldest effect may be tried now.
	Due(now time.Time, limit int) ([]Subject, error)
	Done(t lodge.Tenant, effect string) error
	// Postpone counts an attempt and sets when the next may be made.
	Postpone(t lodge.Tenant, effect string, until time.Time) error
}

// A Subject is what effects are ordered by: a booking or an experiment.
type Subject struct {
	Tenant lodge.Tenant
	Name   string
}

// States keep which experiments are in service.
type States interface {
	// ExperimentState returns ErrUnknown for one whose state was never set.
	ExperimentState(t lodge.Tenant, experiment string) (ExperimentState, error)
	// ExperimentStates returns those of a tenant that were ever set.
	ExperimentStates(t lodge.Tenant) ([]ExperimentState, error)
	SetExperimentState(lodge.Tenant, ExperimentState) error
}
