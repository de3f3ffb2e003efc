package gateway

import (
	"context"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// A test is a technician's own session on an experiment that is off-line: an
// experiment session without a booking. It ends when the technician says so, when
// the experiment is given back, with the right to it, and in an hour.

// isTest reports whether a session is a technician's test.
func isTest(s sessions.Session) bool { return s.Kind == sessions.Experiment && s.Booking == "" }

// testsOf are the live tests of an experiment; of all experiments for "".
func (g *Gateway) testsOf(ctx context.Context, tenant lodge.Tenant, experiment string) ([]sessions.Session, error) {
	all, err := g.sessions.List(ctx, tenant, sessions.Filter{Kind: sessions.Experiment})
	now := g.clock.Now()
	return slices.DeleteFunc(all, func(s sessions.Session) bool {
		return !isTest(s) || s.State(now) != sessions.Active || experiment != "" && s.Experiment != experiment
	}), err
}

// endTest ends tests, for a reason that their technicians read.
func (g *Gateway) endTest(ctx context.Context, tests []sessions.Session, actor, reason string) error {
	for _, s := range tests {
		if err := g.sessions.Revoke(ctx, s.Tenant, s.ID, reason); err != nil {
			return err
		}
		g.record(ctx, s.Tenant, actor, audit.TestEnd, "experiment:"+s.Experiment, "session "+string(s.ID)+"; "+reason)
	}
	return nil
}

// endTests ends tests whose technician may not test any more.
func (g *Gateway) endTests(ctx context.Context, tenant lodge.Tenant, cat *booking.Catalogue) error {
	tests, err := g.testsOf(ctx, tenant, "")
	if err != nil {
		return err
	}
	for _, s := range tests {
		found, err := g.persons.Get(ctx, tenant, s.Person)
		if err != nil {
			return err
		}
		p := lodge.Principal{}
		if len(found) > 0 {
			if p.Bindings, err = g.bindingsIn(ctx, cat, found[0]); err != nil {
				return err
			}
		}
		if _, there := cat.Experiments[s.Experiment]; there && p.Can(lodge.RoleTechnician, lodge.ScopeOf("experiment", s.Experiment)) {
			continue
		}
		if err := g.endTest(ctx, []sessions.Session{s}, "lodge", "You may not test this experiment any more."); err != nil {
			return err
		}
	}
	return nil
}
