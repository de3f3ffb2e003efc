package booking

import (
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
)

// vacate moves the bookings to come of an experiment that went off-line to others
// of their pool, those of whom asked for whatever there is: at the same time, with
// the same reference and codes, and a message. What has no other place stays, for
// the experiment may be back by then. It returns those that moved.
func (d *Desk) vacate(tx Tx, t lodge.Tenant, experiment string, now time.Time) ([]Booking, error) {
	snap, err := d.snapshot(tx, t)
	if err != nil {
		return nil, err
	}
	list, err := tx.List(t, Filter{Experiment: experiment, Within: Interval{Start: now}, Limit: listLimit})
	if err != nil {
		return nil, err
	}
	var moved []Booking
	for _, b := range list {
		if b.Pool == "" || b.StateAt(now) != Booked || !b.Start.After(now) {
			continue
		}
		places, err := placesFor(tx, snap, snap, b, now)
		if err != nil {
			return nil, err
		}
		if len(places) == 0 {
			continue
		}
		state, err := stateOf(tx, t, places[0].Experiment)
		if err != nil {
			return nil, err
		}
		if !state.Online { // it would be no better there
			continue
		}
		b, err = d.reassign(tx, snap, b, "The experiment went off-line; the booking is on another of its kind.", now)
		if errors.Is(err, ErrNoPlace) {
			continue
		}
		if err != nil {
			return nil, err
		}
		moved = append(moved, b)
	}
	return moved, nil
}
