package booking

import (
	"context"
	"time"

	"github.com/lodge-gateway/lodge"
)

// offers of an extension that pages show.
var extensions = []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute}

// Extend moves the end of a booking that has not ended: up to what its policy
// allows, and if nobody is next. Everything else about it stays, its reference
// and its codes above all. For the answer when the effect is late, see Book.
func (d *Desk) Extend(ctx context.Context, t lodge.Tenant, id string, by time.Duration) (Booking, error) {
	var b Booking
	err := d.store.Update(ctx, func(tx Tx) error {
		rec, err := tx.Booking(t, id)
		if err != nil {
			return err
		}
		b = rec.Booking
		now := d.now()
		if r, err := d.extendable(tx, b, by, now); err != nil || r != nil {
			return orRefused(r, err)
		}
		b.End = b.End.Add(by)
		b.Charged = b.Interval().Length()
		if err := tx.Save(b); err != nil {
			return err
		}
		b.Version++
		return d.follow(tx, Effect{
			ID: newID(), Tenant: t, Kind: EffectExtended, Booking: b, Experiment: b.Experiment, At: now,
		})
	})
	if err != nil {
		return Booking{}, outward(err)
	}
	return d.seen(b), d.carry(ctx, bookingSubject(b))
}

func orRefused(r *refusal, err error) error {
	if err != nil {
		return err
	}
	return r.problem(nil)
}

// extendable applies the rules to an extension.
func (d *Desk) extendable(tx Tx, b Booking, by time.Duration, now time.Time) (*refusal, error) {
	if by <= 0 || by%time.Second != 0 {
		return refuse("interval", nil, "An extension lasts whole seconds, one at least."), nil
	}
	if r := changeable(b, now); r != nil {
		return r, nil
	}
	snap, err := d.snapshot(tx, b.Tenant)
	if err != nil {
		return nil, err
	}
	slot, ok := snap.cat.Slots[b.Slot]
	if !ok || slot.Policy != b.Policy || slot.Experiment != b.Experiment {
		return refuse("slot", b.Slot, "What was booked is no longer offered; the booking stands, but cannot be extended."), nil
	}
	f, err := d.facts(tx, snap, b.Tenant, b.Owner, slot, b.ID, now)
	if err != nil {
		return nil, err
	}
	return f.checkExtension(b.Interval(), b.End.Add(by))
}

// changeable refuses changes of bookings that are over.
func changeable(b Booking, now time.Time) *refusal {
	switch b.StateAt(now) {
	case Cancelled:
		return &refusal{code: lodge.CodeConflict, rule: "state", value: string(Cancelled), safe: "The booking has been cancelled; make a new one."}
	case Ended:
		return &refusal{code: lodge.CodeConflict, rule: "state", value: string(Ended), safe: "The booking has ended; make a new one."}
	}
	return nil
}

// Extensions returns the extensions that Extend would accept now, of those that
// pages offer.
func (d *Desk) Extensions(ctx context.Context, b Booking) ([]time.Duration, error) {
	var out []time.Duration
	err := d.store.View(ctx, func(tx Tx) error {
		out = nil
		for _, by := range extensions {
			r, err := d.extendable(tx, b, by, d.now())
			if err != nil {
				return err
			}
			if r != nil {
				break // a longer one breaks the same rule
			}
			out = append(out, by)
		}
		return nil
	})
	return out, outward(err)
}

// Cancel cancels a booking, before its start or under way; cancelling it again
// changes nothing. Charged is nothing before the start, the grace period within
// the grace period, and what was used later. For the answer when the effect is
// late, see Book: the cancellation stands, but access may last until it is
// carried out.
func (d *Desk) Cancel(ctx context.Context, t lodge.Tenant, id, reason string) (Booking, error) {
	var b Booking
	err := d.store.Update(ctx, func(tx Tx) error {
		rec, err := tx.Booking(t, id)
		if err != nil {
			return err
		}
		b = rec.Booking
		now := d.now()
		switch b.StateAt(now) {
		case Cancelled:
			return nil
		case Ended:
			return changeable(b, now).problem(nil)
		}
		snap, err := d.snapshot(tx, t)
		if err != nil {
			return err
		}
		b.Charged = charge(b, snap.cat.Policies[b.Policy], now)
		b.CancelledAt, b.CancelReason = now, reason
		if err := tx.Save(b); err != nil {
			return err
		}
		b.Version++
		return d.follow(tx, Effect{
			ID: newID(), Tenant: t, Kind: EffectCancelled, Booking: b, Experiment: b.Experiment, Reason: reason, At: now,
		})
	})
	if err != nil {
		return Booking{}, outward(err)
	}
	return d.seen(b), d.carry(ctx, bookingSubject(b))
}

// charge returns the usage of a booking that is cancelled now.
func charge(b Booking, p Policy, now time.Time) time.Duration {
	used := now.Sub(b.Start)
	if used <= 0 {
		return 0
	}
	if p.GracePeriod != nil {
		used = max(used, time.Duration(*p.GracePeriod))
	}
	return min(used, b.Interval().Length())
}
