package booking

import (
	"context"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Arrivals keep who came to use what was booked.
type Arrivals interface {
	// Came notes when somebody first came and clears ComeBy, without storing a next
	// version; once noted it stays. ErrUnknown when there is no such booking.
	Came(t lodge.Tenant, booking string, at time.Time) error
	// Awaited returns the bookings whose ComeBy is not after now, the longest due
	// first, of all tenants.
	Awaited(now time.Time, limit int) ([]Awaited, error)
}

// Awaited names a booking that nobody came to in time.
type Awaited struct {
	Tenant  lodge.Tenant
	Booking string
}

// comeBy returns when a booking under a policy is cancelled unless somebody came:
// a grace period after its start, or after its making when that was later. What
// ends before then just ends.
func comeBy(want Interval, p Policy, now time.Time) time.Time {
	if p.GracePeriod == nil {
		return time.Time{}
	}
	from := want.Start
	if from.Before(now) {
		from = now
	}
	by := from.Add(time.Duration(*p.GracePeriod))
	if !by.Before(want.End) {
		return time.Time{}
	}
	return by
}

// Came notes that somebody came to use a booking: it is no no-show any more. It
// may be repeated; only the first time counts.
func (d *Desk) Came(ctx context.Context, b Booking) error {
	if !b.CameAt.IsZero() {
		return nil
	}
	return outward(d.store.Update(ctx, func(tx Tx) error { return tx.Came(b.Tenant, b.ID, d.now()) }))
}

// awaitedLimit is how many no-shows one round settles.
const awaitedLimit = 256

// settleAwaited cancels bookings that nobody came to. Every node looks for them,
// and the transaction that finds one still awaited settles it, once.
func (d *Desk) settleAwaited(ctx context.Context) {
	var due []Awaited
	err := d.store.View(ctx, func(tx Tx) (err error) {
		due, err = tx.Awaited(d.now(), awaitedLimit)
		return err
	})
	for _, a := range due {
		if ctx.Err() != nil {
			return
		}
		err = errors.Join(err, d.settle(ctx, a))
	}
	if err != nil && ctx.Err() == nil {
		d.log.Warn("booking: no-shows will be looked for again", "err", err)
	}
}

// settle cancels one booking that nobody came to, and charges the grace period
// and the penalty. An experiment that is off-line could not be come to: the
// booking stays then, and nobody is awaited any more.
func (d *Desk) settle(ctx context.Context, a Awaited) error {
	var b Booking
	var cancelled bool
	err := d.store.Update(ctx, func(tx Tx) error {
		cancelled = false
		rec, err := tx.Booking(a.Tenant, a.Booking)
		if err != nil {
			return err
		}
		b = rec.Booking
		now := d.now()
		if b.ComeBy.IsZero() || now.Before(b.ComeBy) {
			return nil // somebody came, or another node was faster
		}
		state, err := stateOf(tx, b.Tenant, b.Experiment)
		if err != nil {
			return err
		}
		due := b.ComeBy
		b.ComeBy = time.Time{}
		if !state.Online || b.StateAt(due) != Booked {
			return tx.Save(b)
		}
		snap, err := d.snapshot(tx, b.Tenant)
		if err != nil {
			return err
		}
		p := snap.cat.Policies[b.Policy]
		b.Charged = due.Sub(b.Start)
		if p.GracePeriod != nil {
			b.Charged = time.Duration(*p.GracePeriod)
		}
		if p.GracePenalty != nil {
			b.Charged += time.Duration(*p.GracePenalty)
		}
		b.CancelledAt, b.CancelReason = now, "Nobody came within "+words(due.Sub(later(b.Start, b.CreatedAt)).Round(time.Second))+" of the start."
		if !now.Before(b.End) { // nothing ran when it was due: it was over then
			b.CancelledAt = due
		}
		cancelled = true
		return d.saveCancelled(tx, &b, now)
	})
	if err != nil || !cancelled {
		return err
	}
	// What follows is in the outbox; that it was late has been logged.
	_ = d.carry(ctx, bookingSubject(b))
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
