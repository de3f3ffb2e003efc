package booking

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Effects carries out what follows from bookings: the gateway's part. Carry must
// be idempotent by Effect.ID, must end with its context, and returns nil only
// when all of it is done.
type Effects interface {
	Carry(ctx context.Context, e Effect) error
}

// Options tune a Desk; each zero value stands for its default.
type Options struct {
	// MessagePeriod is how long references, and the right to messages, outlive a
	// booking. Default 7 days.
	MessagePeriod time.Duration
	// EffectWait is how long a caller waits for its effect before it is told
	// that the rest follows. Default 5 s.
	EffectWait time.Duration
	// RetryEvery is how often the outbox is looked through. Default 1 s.
	RetryEvery time.Duration
	// WaitTurn is how long somebody on a waiting list who was told that they can
	// book has before the next is told. Default 10 min.
	WaitTurn time.Duration
	// MaxPartners is with how many people a booking may be shared. Default 8;
	// negative: with nobody.
	MaxPartners int
	// ReferenceLength is how many characters new references have: 6, the default,
	// or 8. Those of either length are found.
	ReferenceLength int
	Effects         Effects // default: nothing to do; see also SetEffects
	Lookup          LookupLimits
	// Mail says that mail is sent: without it none is queued.
	Mail bool
	// Reminders are how long before its start the owner of a booking is reminded of
	// it, where its policy says nothing. Default: not at all.
	Reminders []time.Duration
	Logger    *slog.Logger // default: slog.Default()
}

// A Desk makes, changes and finds bookings. It is safe for concurrent use.
type Desk struct {
	store Store
	vault *vault
	clock lodge.Clock
	opts  Options
	log   *slog.Logger
	turns turns         // one effect at a time for each subject
	node  string        // tells this desk from those of other nodes
	wake  chan struct{} // tells Run that an effect is left over

	mu      sync.Mutex
	effects Effects                    // guarded by mu
	people  People                     // guarded by mu; may be nil
	cached  map[lodge.Tenant]*snapshot // guarded by mu; the snapshots are immutable
}

// NewDesk returns a desk on a store. It fails when a key is not 32 bytes long.
func NewDesk(store Store, keys Keys, clock lodge.Clock, opts Options) (*Desk, error) {
	v, err := newVault(keys)
	if err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	if n := opts.ReferenceLength; n != ReferenceLength && n != LongReferenceLength {
		return nil, fmt.Errorf("booking: references have %d or %d characters, not %d", ReferenceLength, LongReferenceLength, n)
	}
	return &Desk{
		store: store, vault: v, clock: clock, opts: opts, log: opts.Logger,
		effects: opts.Effects, wake: make(chan struct{}, 1),
		turns:  turns{held: map[Subject]*turn{}},
		node:   newID(),
		cached: map[lodge.Tenant]*snapshot{},
	}, nil
}

func (o Options) withDefaults() Options {
	if o.MessagePeriod <= 0 {
		o.MessagePeriod = 7 * 24 * time.Hour
	}
	if o.EffectWait <= 0 {
		o.EffectWait = 5 * time.Second
	}
	if o.RetryEvery <= 0 {
		o.RetryEvery = time.Second
	}
	if o.WaitTurn <= 0 {
		o.WaitTurn = 10 * time.Minute
	}
	if o.MaxPartners == 0 {
		o.MaxPartners = 8
	}
	if o.ReferenceLength == 0 {
		o.ReferenceLength = ReferenceLength
	}
	if o.Effects == nil {
		o.Effects = noEffects{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Lookup = o.Lookup.withDefaults()
	return o
}

type noEffects struct{}

func (noEffects) Carry(context.Context, Effect) error { return nil }

// SetEffects sets who carries out effects. It is for wiring, before the first
// call and before Run.
func (d *Desk) SetEffects(e Effects) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.effects = e
}

// MessagesUntil returns when the right to a booking's messages, and its
// reference, end.
func (d *Desk) MessagesUntil(b Booking) time.Time { return b.Over().Add(d.opts.MessagePeriod) }

// now returns the clock's time in UTC with the precision that stores keep.
func (d *Desk) now() time.Time { return d.clock.Now().UTC().Truncate(time.Microsecond) }

// seen completes a booking that was read.
func (d *Desk) seen(b Booking) Booking {
	b.State = b.StateAt(d.now())
	return b
}

// outward turns what a store or a rule returned into what the outside may see.
func outward(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*lodge.Error](err); ok {
		return err
	}
	switch {
	case errors.Is(err, ErrUnknown):
		return lodge.Wrap(lodge.CodeNotFound, "There is no such booking, or it is not yours.", err)
	case errors.Is(err, ErrStale):
		return lodge.Wrap(lodge.CodeConflict, "The booking was changed meanwhile; load it again.", err)
	case errors.Is(err, ErrOverlap):
		return lodge.Wrap(lodge.CodeConflict, "Somebody else has the experiment at that time; choose another time.", err)
	}
	return lodge.Wrap(lodge.CodeUnavailable, "Bookings cannot be reached at the moment; try again shortly.", err)
}
