package postgres

import (
	"context"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// States tell a Redis which experiments are off-line, for relays that cannot read
// the database.
type States struct{ db *DB }

// NewStates returns the states of a database.
func NewStates(db *DB) *States { return &States{db} }

// Offline calls fn for every experiment that is off-line, in every tenant.
func (st *States) Offline(ctx context.Context, fn func(lodge.Tenant, booking.ExperimentState) error) error {
	type offline struct {
		tenant lodge.Tenant
		booking.ExperimentState
	}
	var list []offline
	err := st.db.each(ctx, func() { list = nil }, func(scan scanner) error {
		var one offline
		err := scan(&one.tenant, &one.Experiment, &one.Reason, &one.By, (*moment)(&one.Since))
		list = append(list, one)
		return err
	}, `SELECT tenant, experiment, reason, set_by, since FROM experiment_states WHERE NOT online`)
	if err != nil {
		return err
	}
	for _, one := range list {
		if err := fn(one.tenant, one.ExperimentState); err != nil {
			return err
		}
	}
	return nil
}
