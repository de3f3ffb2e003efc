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

// Availability returns what a group can book between two times, slot by slot,
// in one call. Intervals begin now at the earliest, and end where the policy
// lets the last booking end. It does not look at who asks: max_bookings and
// max_usage are checked when booking.
func (d *Desk) Availability(ctx context.Context, t lodge.Tenant, group string, from, until time.Time) ([]SlotAvailability, error) {
	now := d.now()
	span := Interval{from.UTC(), until.UTC()}
	if span.Start.Before(now) {
		span.Start = now.Truncate(time.Second)
	}
	if span.Length() > maxAhead {
		return nil, lodge.E(lodge.CodeRefused, "Availability is shown for up to 92 days; choose a shorter time.")
	}
	var out []SlotAvailability
	err := d.store.View(ctx, func(tx Tx) error {
		snap, err := d.snapshot(tx, t)
		if err != nil {
			return err
		}
		if _, ok := snap.cat.Groups[group]; !ok {
			return lodge.E(lodge.CodeNotFound, "There is no such group.")
		}
		out, err = availability(tx, snap, t, group, span, now)
		return err
	})
	return out, outward(err)
}

// maxAhead bounds how much of a diary one call reads.
const maxAhead = 92 * 24 * time.Hour

func availability(tx Tx, snap *snapshot, t lodge.Tenant, group string, span Interval, now time.Time) ([]SlotAvailability, error) {
	type diary struct {
		busy   []Interval
		online bool
	}
	diaries := map[string]diary{}
	var out []SlotAvailability
	for _, name := range snap.cat.SlotsOf(group) {
		slot := snap.cat.Slots[name]
		seen, ok := diaries[slot.Experiment]
		if !ok {
			state, err := stateOf(tx, t, slot.Experiment)
			if err != nil {
				return nil, err
			}
			busy, err := tx.Busy(t, slot.Experiment, "", span, availabilityLimit)
			if err != nil {
				return nil, err
			}
			if len(busy) == availabilityLimit { // the rest is not known to be free
				busy = append(busy, Interval{busy[len(busy)-1].End, latest})
			}
			seen = diary{merged(busy), state.Online}
			diaries[slot.Experiment] = seen
		}
		a := slotAvailability(name, slot, snap, span, now, seen.busy)
		a.Online = seen.online
		out = append(out, a)
	}
	return out, nil
}

// availabilityLimit bounds how many bookings of one experiment are read: a
// booking every three minutes for a fortnight.
const availabilityLimit = 6720

func slotAvailability(name string, slot Slot, snap *snapshot, span Interval, now time.Time, busy []Interval) SlotAvailability {
	p := snap.cat.Policies[slot.Policy]
	a := SlotAvailability{Slot: name, Policy: slot.Policy, Experiment: slot.Experiment, UISet: slot.UISet}
	if p.MinDuration != nil {
		a.Min = time.Duration(*p.MinDuration)
	}
	if p.MaxDuration != nil {
		a.Max = time.Duration(*p.MaxDuration)
	}
	for _, rule := range []*Duration{p.BookAhead, p.StartsWithin} {
		if rule != nil {
			if by := now.Add(time.Duration(*rule)); a.StartBy.IsZero() || by.Before(a.StartBy) {
				a.StartBy = by
			}
		}
	}
	// The last booking starts by StartBy and lasts Max; without a longest length
	// its end is open.
	if last := a.StartBy.Add(a.Max); !a.StartBy.IsZero() && a.Max > 0 && last.Before(span.End) {
		span.End = last
	}
	free := []Interval{span}
	if slot.Window != "" {
		free = snap.open[slot.Window]
	}
	if !p.UnlimitedUsers {
		free = without(free, busy)
	}
	for _, i := range clipped(free, span) {
		if i.Length() >= a.Min && (a.StartBy.IsZero() || !i.Start.After(a.StartBy)) {
			a.Free = append(a.Free, i)
		}
	}
	return a
}
