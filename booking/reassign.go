package booking

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// ErrNoPlace means that no equivalent experiment is free for a booking.
var ErrNoPlace = errors.New("booking: no equivalent experiment is free at that time")

// A place is where a booking can take place: an experiment, the slot that leads
// there and the UI set that goes with it.
type place struct{ Experiment, Slot, UISet string }

// reassign moves a booking that has not ended to an equivalent experiment at the
// same time, stores it and enqueues the effect, whose reason its person reads. It
// returns ErrNoPlace when none is free; see placesFor. carry the booking's subject
// when the transaction is through.
func (d *Desk) reassign(tx Tx, snap *snapshot, b Booking, reason string, now time.Time) (Booking, error) {
	return d.reassignAfter(tx, snap, snap, b, reason, now)
}

// reassignAfter is reassign under a catalogue that is about to change: the pools
// of the one before count too.
func (d *Desk) reassignAfter(tx Tx, snap, before *snapshot, b Booking, reason string, now time.Time) (Booking, error) {
	found, err := placesFor(tx, snap, before, b, now)
	if err != nil {
		return Booking{}, err
	}
	if len(found) == 0 {
		return Booking{}, ErrNoPlace
	}
	left := b.Experiment
	b.Experiment, b.Slot, b.UISet = found[0].Experiment, found[0].Slot, found[0].UISet
	if err := tx.Move(b); err != nil {
		return Booking{}, err
	}
	b.Version++
	if err := d.freed(tx, b.Tenant, left, now); err != nil {
		return Booking{}, err
	}
	return b, d.follow(tx, Effect{
		ID: newID(), Tenant: b.Tenant, Kind: EffectMoved, Booking: b, Experiment: b.Experiment, Reason: reason, At: now,
	})
}

// placesFor returns the places that are equivalent to a booking's and free for
// all of its time, the best first: experiments in service before others, those
// with the same UIs before others, then by name. Equivalent are experiments in a
// pool with the booking's, reached through a slot under the same policy that the
// group may use, whose window allows the time.
func placesFor(tx Tx, snap, before *snapshot, b Booking, now time.Time) ([]place, error) {
	if !slices.Contains(snap.cat.Groups[b.Group].Policies, b.Policy) {
		return nil, nil
	}
	siblings := snap.siblings(b.Experiment)
	for name := range before.siblings(b.Experiment) {
		siblings[name] = true
	}
	type candidate struct {
		place
		online, same bool
	}
	var list []candidate
	states := map[string]bool{}
	for _, name := range sortedKeys(snap.cat.Slots) {
		slot := snap.cat.Slots[name]
		if _, there := snap.cat.Experiments[slot.Experiment]; !there || !siblings[slot.Experiment] || slot.Experiment == b.Experiment ||
			slot.Policy != b.Policy || slot.Window != "" && !snap.opens(slot.Window, b.Interval()) {
			continue
		}
		online, seen := states[slot.Experiment]
		if !seen {
			state, err := stateOf(tx, b.Tenant, slot.Experiment)
			if err != nil {
				return nil, err
			}
			online = state.Online
			states[slot.Experiment] = online
		}
		if !online && !b.Start.After(now) {
			continue // under way: an experiment that is off-line is of no use
		}
		list = append(list, candidate{place{slot.Experiment, name, slot.UISet}, online, slot.UISet == b.UISet})
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(first(a.online, b.online), first(a.same, b.same), cmp.Compare(a.Experiment, b.Experiment))
	})
	var out []place
	for _, c := range list {
		if b.Exclusive {
			busy, err := tx.Busy(b.Tenant, c.Experiment, b.ID, b.Interval(), 1)
			if err != nil {
				return nil, err
			}
			if len(busy) > 0 {
				continue
			}
		}
		out = append(out, c.place)
	}
	return out, nil
}

// first orders what is true before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// siblings are the experiments that share a pool with one.
func (s *snapshot) siblings(experiment string) map[string]bool {
	out := map[string]bool{}
	for _, pool := range s.cat.Pools {
		if slices.Contains(pool.Experiments, experiment) {
			for _, other := range pool.Experiments {
				out[other] = true
			}
		}
	}
	return out
}

// subjectOfCatalogue is what effects on everybody's rights are ordered by.
func subjectOfCatalogue(t lodge.Tenant) Subject { return Subject{t, "catalogue"} }
