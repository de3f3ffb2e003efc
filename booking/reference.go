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
		if reference, err = d.addReference(tx, b); err != nil {
			return err
		}
		if err := tx.Reseal(t, id, d.vault.seal(b, reference), d.vault.id); err != nil {
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

// register stores a booking under a reference that nobody else has.
func (d *Desk) register(tx Tx, rec *Record) (string, error) {
	reference, err := d.addReference(tx, rec.Booking)
	if err != nil {
		return "", err
	}
	rec.Sealed, rec.SealedKey = d.vault.seal(rec.Booking, reference), d.vault.id
	return reference, tx.Insert(*rec)
}

// addReference draws a reference that no live booking of the tenant has, whatever
// key it was written under, and stores what it is found by.
func (d *Desk) addReference(tx Tx, b Booking) (string, error) {
draw:
	for range 16 {
		reference := newReference(d.opts.ReferenceLength)
		for _, other := range d.vault.others {
			taken, err := tx.HasReference(b.Tenant, other.referenceMAC(b.Tenant, reference))
			if err != nil {
				return "", err
			}
			if taken {
				continue draw
			}
		}
		var macs [][]byte
		for _, fold := range Folds(b.Surname) {
			macs = append(macs, d.vault.foldMAC(b.Tenant, fold, reference))
		}
		err := tx.AddReference(b.Tenant, b.ID, d.vault.id, d.vault.referenceMAC(b.Tenant, reference), macs)
		if !errors.Is(err, ErrExists) {
			return reference, err
		}
	}
	return "", errors.New("booking: no free reference was found in sixteen draws")
}
