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
// and its codes above all. A refusal offers the longest extension that would be
// accepted. For the answer when the effect is late, see Book.
func (d *Desk) Extend(ctx context.Context, t lodge.Tenant, id string, by time.Duration, conditions ...Condition) (Booking, error) {
	who, err := d.whomOf(ctx, t, id)
	if err != nil {
		return Booking{}, outward(err)
	}
	var b Booking
	err = d.update(ctx, func(tx Tx) error {
		rec, err := tx.Booking(t, id)
		if err != nil {
			return err
		}
		b = rec.Booking
		if err := required(b, conditions); err != nil {
			return err
		}
		now := d.now()
		f, r, err := d.extendable(tx, who, b, by, now)
		if err != nil {
			return err
		}
		if r != nil {
			return d.refusedExtension(f, b, r)
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

// refusedExtension adds to a refusal the latest end that would be accepted. facts
// are nil when no end would.
func (d *Desk) refusedExtension(f *facts, b Booking, r *refusal) error {
	if f == nil {
		return r.problem(nil)
	}
	offer, err := f.offerWith(r, func(i Interval) (*refusal, error) {
		if !i.End.After(b.End) {
			return &refusal{}, nil // no extension: nothing better is known
		}
		return f.checkExtension(b.Interval(), i.End)
	})
	if err != nil {
		return err
	}
	return r.problem(offerOf(offer, b.Slot))
}

// extendable applies the rules to an extension. The facts come back when the
// rules of the policy were what was applied.
func (d *Desk) extendable(tx Tx, who whom, b Booking, by time.Duration, now time.Time) (*facts, *refusal, error) {
	if by <= 0 || by%time.Second != 0 {
		return nil, refuse("interval", nil, "An extension lasts whole seconds, one at least."), nil
	}
	if r := changeable(b, now); r != nil {
		return nil, r, nil
	}
	snap, err := d.snapshot(tx, b.Tenant)
	if err != nil {
		return nil, nil, err
	}
	snap = snap.as(who)
	slot, ok := snap.cat.Slots[b.Slot]
	if !ok || slot.Policy != b.Policy || slot.Experiment != b.Experiment {
		return nil, refuse("slot", b.Slot, "What was booked is no longer offered; the booking stands, but cannot be extended."), nil
	}
	f, err := d.facts(tx, snap, b.Tenant, b.Owner, slot, b.ID, now)
	if err != nil {
		return nil, nil, err
	}
	r, err := f.checkExtension(b.Interval(), b.End.Add(by))
	return f, r, err
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
	who, err := d.whomFor(ctx, b.Tenant, b.Owner, "")
	if err != nil {
		return nil, outward(err)
	}
	var out []time.Duration
	err = d.store.View(ctx, func(tx Tx) error {
		out = nil
		for _, by := range extensions {
			_, r, err := d.extendable(tx, who, b, by, d.now())
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
func (d *Desk) Cancel(ctx context.Context, t lodge.Tenant, id, reason string, conditions ...Condition) (Booking, error) {
	var b Booking
	err := d.update(ctx, func(tx Tx) error {
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
		if err := required(b, conditions); err != nil {
			return err
		}
		snap, err := d.snapshot(tx, t)
		if err != nil {
			return err
		}
		b.Charged = charge(b, snap.cat.Policies[b.Policy], now)
		b.CancelledAt, b.CancelReason = now, reason
		return d.saveCancelled(tx, &b, now)
	})
	if err != nil {
		return Booking{}, outward(err)
	}
	return d.seen(b), d.carry(ctx, bookingSubject(b))
}

// saveCancelled stores a booking that is cancelled now, with what follows from
// it: its effect, and that somebody may be waiting for what it frees.
func (d *Desk) saveCancelled(tx Tx, b *Booking, now time.Time) error {
	b.ComeBy = time.Time{}
	if err := tx.Save(*b); err != nil {
		return err
	}
	b.Version++
	if err := d.freed(tx, b.Tenant, b.Experiment, now); err != nil {
		return err
	}
	return d.follow(tx, Effect{
		ID: newID(), Tenant: b.Tenant, Kind: EffectCancelled, Booking: *b, Experiment: b.Experiment, Reason: b.CancelReason, At: now,
	})
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
