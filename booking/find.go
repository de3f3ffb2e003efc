package booking

import (
	"context"
	"time"

	"github.com/lodge-gateway/lodge"
)

// listLimit bounds a list of bookings.
const listLimit = 1000

// Get returns a booking; CodeNotFound when there is none.
func (d *Desk) Get(ctx context.Context, t lodge.Tenant, id string) (Booking, error) {
	var rec Record
	err := d.store.View(ctx, func(tx Tx) (err error) {
		rec, err = tx.Booking(t, id)
		return err
	})
	if err != nil {
		return Booking{}, outward(err)
	}
	return d.seen(rec.Booking), nil
}

// ListByPerson returns a person's bookings, cancelled ones too, that share a
// moment with [from, until), by start; a zero until is open. At most 1,000.
func (d *Desk) ListByPerson(ctx context.Context, t lodge.Tenant, person lodge.PersonID, from, until time.Time) ([]Booking, error) {
	return d.list(ctx, t, Filter{Owner: person, Within: Interval{from, until}})
}

// ListByExperiment is ListByPerson for an experiment.
func (d *Desk) ListByExperiment(ctx context.Context, t lodge.Tenant, experiment string, from, until time.Time) ([]Booking, error) {
	return d.list(ctx, t, Filter{Experiment: experiment, Within: Interval{from, until}})
}

func (d *Desk) list(ctx context.Context, t lodge.Tenant, f Filter) ([]Booking, error) {
	f.Limit = listLimit
	var list []Booking
	err := d.store.View(ctx, func(tx Tx) (err error) {
		list, err = tx.List(t, f)
		return err
	})
	if err != nil {
		return nil, outward(err)
	}
	for i := range list {
		list[i] = d.seen(list[i])
	}
	return list, nil
}

// Reference returns the reference of a booking, for its owner's eyes. It is
// empty once the reference is dead.
func (d *Desk) Reference(ctx context.Context, b Booking) (string, error) {
	var rec Record
	err := d.store.View(ctx, func(tx Tx) (err error) {
		rec, err = tx.Booking(b.Tenant, b.ID)
		return err
	})
	if err != nil {
		return "", outward(err)
	}
	if rec.Sealed == nil || !d.now().Before(d.MessagesUntil(rec.Booking)) {
		return "", nil
	}
	reference, err := d.vault.unseal(rec)
	if err != nil {
		return "", lodge.Wrap(lodge.CodeInternal, "The reference cannot be shown; look for it in your confirmation.", err)
	}
	return reference, nil
}
