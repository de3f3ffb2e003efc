package booking

import (
	"context"
	"errors"

	"github.com/lodge-gateway/lodge"
)

// SetState takes an experiment off-line or gives it back. Its bookings survive
// either. For the answer when the effect is late, see Book.
func (d *Desk) SetState(ctx context.Context, t lodge.Tenant, experiment string, online bool, reason, by string) error {
	subject := Subject{t, "experiment:" + experiment}
	err := d.store.Update(ctx, func(tx Tx) error {
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
		}
		return tx.Enqueue(subject.Name, Effect{ID: newID(), Tenant: t, Kind: kind, Experiment: experiment, Reason: reason, At: now})
	})
	if err != nil {
		return outward(err)
	}
	return d.carry(ctx, subject)
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
