package booking

import (
	"cmp"
	"context"
	"errors"

	"github.com/lodge-gateway/lodge"
)

// SetState takes an experiment off-line or gives it back. Its bookings survive
// either; those to come of whom asked for any experiment of a pool move to another
// one when it goes off-line. For the answer when the effect is late, see Book.
func (d *Desk) SetState(ctx context.Context, t lodge.Tenant, experiment string, online bool, reason, by string) error {
	subject := Subject{t, "experiment:" + experiment}
	var moved []Booking
	err := d.update(ctx, func(tx Tx) error {
		moved = nil
		if err := d.known(tx, t, experiment); err != nil {
			return err
		}
		old, err := stateOf(tx, t, experiment)
		if err != nil || old.Online == online && old.Reason == reason {
			return err
		}
		now := d.now()
		err = tx.SetExperimentState(t, ExperimentState{Experiment: experiment, Online: online, Reason: reason, By: by, Since: now})
		if err != nil {
			return err
		}
		kind := EffectOffline
		if online {
			kind = EffectOnline
			if err := d.freed(tx, t, experiment, now); err != nil {
				return err
			}
		} else if moved, err = d.vacate(tx, t, experiment, now); err != nil {
			return err
		}
		return tx.Enqueue(subject.Name, Effect{ID: newID(), Tenant: t, Kind: kind, Experiment: experiment, Reason: reason, At: now})
	})
	if err != nil {
		return outward(err)
	}
	var places []Place
	for _, b := range moved {
		places = append(places, Place{Booking: b})
	}
	return cmp.Or(d.carry(ctx, subject), d.carryParty(ctx, places))
}

// State returns whether an experiment is in service; CodeNotFound when the
// catalogue does not have it.
func (d *Desk) State(ctx context.Context, t lodge.Tenant, experiment string) (ExperimentState, error) {
	var s ExperimentState
	err := d.store.View(ctx, func(tx Tx) (err error) {
		if err := d.known(tx, t, experiment); err != nil {
			return err
		}
		s, err = stateOf(tx, t, experiment)
		return err
	})
	return s, outward(err)
}

func (d *Desk) known(tx Tx, t lodge.Tenant, experiment string) error {
	snap, err := d.snapshot(tx, t)
	if err != nil {
		return err
	}
	if _, ok := snap.cat.Experiments[experiment]; !ok {
		return lodge.E(lodge.CodeNotFound, "There is no such experiment.")
	}
	return nil
}

// stateOf reads an experiment's state; one that was never set is in service.
func stateOf(tx Tx, t lodge.Tenant, experiment string) (ExperimentState, error) {
	s, err := tx.ExperimentState(t, experiment)
	if errors.Is(err, ErrUnknown) {
		return ExperimentState{Experiment: experiment, Online: true}, nil
	}
	return s, err
}
