package booking

import (
	"context"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Reminders keep when owners are to be reminded that their bookings begin.
type Reminders interface {
	// SetReminders replaces the reminders of a booking.
	SetReminders(t lodge.Tenant, booking string, at []time.Time) error
	// DueReminders returns bookings of all tenants that a reminder is due for, the
	// longest due first and each once; at most limit.
	DueReminders(now time.Time, limit int) ([]DueReminder, error)
	// TakeReminders removes the reminders of a booking that are due and reports
	// whether there were any.
	TakeReminders(t lodge.Tenant, booking string, now time.Time) (bool, error)
}

// A DueReminder names a booking whose owner is to be reminded.
type DueReminder struct {
	Tenant  lodge.Tenant
	Booking string
}

// setReminders sets when to remind the owner of a booking as it is now: as its
// policy says, else as the installation does. What would be due already is left
// out: whoever books or moves a booking at short notice knows.
func (d *Desk) setReminders(tx Tx, snap *snapshot, b Booking) error {
	leads := d.opts.Reminders
	if own := snap.cat.Policies[b.Policy].Reminders; own != nil {
		leads = nil
		for _, lead := range *own {
			leads = append(leads, time.Duration(lead))
		}
	}
	now := d.now()
	var at []time.Time
	if b.StateAt(now) == Booked {
		for _, lead := range leads {
			if due := b.Start.Add(-lead); due.After(now) && !slices.ContainsFunc(at, due.Equal) {
				at = append(at, due)
			}
		}
	}
	if len(at) == 0 && b.Version == 1 {
		return nil // new: there is nothing to replace
	}
	return tx.SetReminders(b.Tenant, b.ID, at)
}

// maxReminders bounds how often the owner of one booking is reminded.
const maxReminders = 8

// remindLimit is how many bookings one round of reminders takes on.
const remindLimit = 256

// remind makes the reminders that are due, each in one step that takes it off
// the list: so it is made once, by whichever node comes first. When several of a
// booking are due, since no node was running, it is one; after the start it is
// none.
func (d *Desk) remind(ctx context.Context) {
	var due []DueReminder
	err := d.store.View(ctx, func(tx Tx) (err error) {
		due, err = tx.DueReminders(d.now(), remindLimit)
		return err
	})
	for _, r := range due {
		if err == nil {
			err = d.remindOf(ctx, r)
		}
	}
	if err != nil && ctx.Err() == nil {
		d.log.Warn("booking: reminders are late", "err", err)
	}
}

func (d *Desk) remindOf(ctx context.Context, r DueReminder) error {
	return d.store.Update(ctx, func(tx Tx) error {
		now := d.now()
		ours, err := tx.TakeReminders(r.Tenant, r.Booking, now)
		if err != nil || !ours {
			return err
		}
		rec, err := tx.Booking(r.Tenant, r.Booking)
		if err != nil {
			return err
		}
		if rec.StateAt(now) != Booked || !now.Before(rec.Start) {
			return nil
		}
		return d.follow(tx, Effect{ID: newID(), Tenant: r.Tenant, Kind: EffectReminder, Booking: rec.Booking, Experiment: rec.Experiment, At: now})
	})
}
