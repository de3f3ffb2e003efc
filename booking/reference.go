package booking

import (
	"context"
	"errors"

	"github.com/lodge-gateway/lodge"
)

// Rotate gives a booking another reference and returns it; the one before finds
// nothing any more. For the answer when the effect is late, see Book.
func (d *Desk) Rotate(ctx context.Context, t lodge.Tenant, id string, conditions ...Condition) (Booking, string, error) {
	var b Booking
	var reference string
	err := d.update(ctx, func(tx Tx) error {
		rec, err := tx.Booking(t, id)
		if err != nil {
			return err
		}
		b = rec.Booking
		if err := required(b, conditions); err != nil {
			return err
		}
		now := d.now()
		if rec.Sealed == nil || !now.Before(d.MessagesUntil(b)) {
			return (&refusal{
				code: lodge.CodeConflict, rule: "reference", safe: "The booking and its reference are over; there is nothing left to find.",
			}).problem(nil)
		}
		if err := tx.DropReference(t, id); err != nil {
			return err
		}
		c, err := d.addReference(tx, b, d.draw(b))
		if err != nil {
			return err
		}
		reference = c.reference
		if err := tx.Reseal(t, id, c.sealed, d.vault.id); err != nil {
			return err
		}
		b.Version++
		return d.follow(tx, Effect{
			ID: newID(), Tenant: t, Kind: EffectRotated, Booking: b, Experiment: b.Experiment, At: now,
		})
	})
	if err != nil {
		return Booking{}, "", outward(err)
	}
	return d.seen(b), reference, d.carry(ctx, bookingSubject(b))
}

// register stores a booking under a reference that nobody else has: the one that
// was drawn, or another.
func (d *Desk) register(tx Tx, rec *Record, drawn code) (string, error) {
	c, err := d.addReference(tx, rec.Booking, drawn)
	if err != nil {
		return "", err
	}
	rec.Sealed, rec.SealedKey = c.sealed, d.vault.id
	return c.reference, tx.Insert(*rec)
}

// addReference stores what a booking is found by, under the reference that was
// drawn or, when a live booking of the tenant has that, whatever key it was written
// under, under another.
func (d *Desk) addReference(tx Tx, b Booking, c code) (code, error) {
	for range 16 {
		taken, err := d.referenceTaken(tx, b, c)
		if err != nil {
			return code{}, err
		}
		if !taken {
			err := tx.AddReference(b.Tenant, b.ID, d.vault.id, c.mac, c.folds)
			if !errors.Is(err, ErrExists) {
				return c, err
			}
		}
		c = d.draw(b)
	}
	return code{}, errors.New("booking: no free reference was found in sixteen draws")
}

// referenceTaken reports whether a booking has a reference under one of the keys
// that are not written under any more.
func (d *Desk) referenceTaken(tx Tx, b Booking, c code) (bool, error) {
	for _, other := range d.vault.others {
		taken, err := tx.HasReference(b.Tenant, other.referenceMAC(b.Tenant, c.reference))
		if err != nil || taken {
			return taken, err
		}
	}
	return false, nil
}
