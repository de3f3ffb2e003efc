package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

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

// testLife is how long a test may take. Another can follow.
const testLife = time.Hour

// TestView answers POST /api/v1/admin/experiments/{id}/test: what a UI needs to
// use an experiment, as an Activity has it.
type TestView struct {
	Experiment string       `json:"experiment"`
	Session    string       `json:"session"`
	Until      time.Time    `json:"until"`
	Exp        int64        `json:"exp"` // the same as Unix seconds
	UIs        []UIView     `json:"uis"`
	Streams    []StreamView `json:"streams"`
}

// startTest makes a technician's own session on an experiment that is off-line.
func (g *Gateway) startTest(r *http.Request) (TestView, error) {
	ctx, name := r.Context(), chi.URLParam(r, "id")
	by, err := g.holding(r, lodge.RoleTechnician, lodge.ScopeOf("experiment", name))
	if err != nil {
		return TestView{}, err
	}
	if err := g.testable(ctx, by.Tenant, name); err != nil {
		return TestView{}, err
	}
	if err := g.launches.allow(by.Tenant, "test:"+name); err != nil {
		return TestView{}, err
	}
	cat, err := g.desk.Catalogue(ctx, by.Tenant)
	if err != nil {
		return TestView{}, err
	}
	code, s, err := g.sessions.Create(ctx, sessions.New{
		Tenant: by.Tenant, Kind: sessions.Experiment, Person: by.Person, Name: by.Name, Experiment: name,
		Scopes: streamScopes(cat.Experiments[name]), ExpiresAt: g.clock.Now().Add(testLife),
	})
	if err != nil {
		return TestView{}, err
	}
	g.recordBy(ctx, by, audit.TestStart, "experiment:"+name, "session "+string(s.ID)+" until "+s.ExpiresAt.Format(timeFormat))
	// It may have been given back meanwhile, by somebody who found no test to end.
	if err := g.testable(ctx, by.Tenant, name); err != nil {
		return TestView{}, cmp.Or(g.endTest(ctx, []sessions.Session{s}, actorOf(by), testOver), err)
	}
	view := TestView{
		Experiment: name, Session: string(s.ID), Until: s.ExpiresAt, Exp: s.ExpiresAt.Unix(),
		Streams: g.streamViews(cat.Experiments[name], code), UIs: []UIView{},
	}
	for _, ui := range cat.UIsFor(name) {
		address, err := g.fill(cat.UIs[ui], view.Streams, view.Exp)
		if err != nil {
			return TestView{}, err
		}
		view.UIs = append(view.UIs, UIView{Name: ui, Title: cat.Title(cat.UIs[ui].Description, ui), URL: address})
	}
	return view, nil
}

// testOver is what the codes of a test are told when the experiment is back.
const testOver = "The test ended: the experiment was given back."

// testable refuses a test of an experiment that is in service: it would be in the
// way of whoever booked it.
func (g *Gateway) testable(ctx context.Context, tenant lodge.Tenant, experiment string) error {
	state, err := g.desk.State(ctx, tenant, experiment)
	if err == nil && state.Online {
		err = lodge.E(lodge.CodeConflict, "The experiment is in service; take it off-line before you test it.")
	}
	return err
}

func (g *Gateway) postTest(w http.ResponseWriter, r *http.Request) error {
	view, err := g.startTest(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, view)
}

// stopTest ends every test of an experiment.
func (g *Gateway) stopTest(r *http.Request) error {
	name := chi.URLParam(r, "id")
	by, err := g.holding(r, lodge.RoleTechnician, lodge.ScopeOf("experiment", name))
	if err != nil {
		return err
	}
	tests, err := g.testsOf(r.Context(), by.Tenant, name)
	if err != nil {
		return err
	}
	return g.endTest(r.Context(), tests, actorOf(by), "The test was ended.")
}

func (g *Gateway) deleteTest(w http.ResponseWriter, r *http.Request) error {
	if err := g.stopTest(r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
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
