package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// matches reports whether any field holds the query, whatever its case.
func matches(query string, fields ...string) bool {
	query = strings.ToLower(strings.TrimSpace(query))
	for _, f := range fields {
		if strings.Contains(strings.ToLower(f), query) {
			return true
		}
	}
	return query == ""
}

func (g *Gateway) listExperiments(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	views, err := g.rigsOf(r.Context(), s)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"experiments": views})
}

// rigsOf are the experiments a technician keeps, with who is on them now.
func (g *Gateway) rigsOf(ctx context.Context, s sessions.Session) ([]ExperimentView, error) {
	p := s.Principal()
	if !p.Has(lodge.RoleTechnician) {
		return nil, lodge.E(lodge.CodeForbidden, "Only a technician of an experiment sees this; ask your laboratory if that should be you.")
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	peers, _ := g.relay.AllPeers(ctx, s.Tenant) // of the nodes that answer
	views := []ExperimentView{}
	for _, name := range sortedKeys(cat.Experiments) {
		if !p.Can(lodge.RoleTechnician, lodge.ScopeOf("experiment", name)) {
			continue
		}
		view, err := g.experimentView(ctx, s.Tenant, cat, name)
		if err != nil {
			return nil, err
		}
		topics := map[string]bool{}
		for _, stream := range cat.Experiments[name].Streams {
			topics[stream.Topic] = true
		}
		for _, peer := range peers {
			if topics[peer.Topic] {
				view.Peers = append(view.Peers, PeerView{Topic: peer.Topic, Kind: peer.Kind, Name: peer.Name, ConnectedAt: peer.ConnectedAt})
			}
		}
		views = append(views, view)
	}
	return views, nil
}

func (g *Gateway) experimentView(ctx context.Context, tenant lodge.Tenant, cat *booking.Catalogue, name string) (ExperimentView, error) {
	state, err := g.desk.State(ctx, tenant, name)
	if err != nil {
		return ExperimentView{}, err
	}
	view := ExperimentView{Experiment: name, Title: describe(cat, name).title, Online: state.Online, Reason: state.Reason, Peers: []PeerView{}}
	now := g.clock.Now()
	current, err := g.desk.ListByExperiment(ctx, tenant, name, now, now.Add(time.Microsecond))
	if err != nil {
		return ExperimentView{}, err
	}
	for _, b := range current {
		if b.State == booking.Booked && !now.Before(b.Start) {
			one, err := g.bookingView(ctx, b, false)
			if err != nil {
				return ExperimentView{}, err
			}
			view.Booking, view.owner = &one, b.OwnerName
		}
	}
	return view, nil
}

func (g *Gateway) putExperimentState(w http.ResponseWriter, r *http.Request) error {
	// Who may is known before what is wanted is read.
	if _, err := g.holding(r, lodge.RoleTechnician, lodge.ScopeOf("experiment", chi.URLParam(r, "id"))); err != nil {
		return err
	}
	var req ExperimentStateRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if err := g.setState(r, req); err != nil {
		return err
	}
	cat, err := g.desk.Catalogue(r.Context(), tenantOf(r.Context()))
	if err != nil {
		return err
	}
	view, err := g.experimentView(r.Context(), tenantOf(r.Context()), cat, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// setState takes one experiment off-line or gives it back: the right on that
// experiment is all it needs.
func (g *Gateway) setState(r *http.Request, req ExperimentStateRequest) error {
	name := chi.URLParam(r, "id")
	s, err := g.holding(r, lodge.RoleTechnician, lodge.ScopeOf("experiment", name))
	if err != nil {
		return err
	}
	reason := ""
	if !req.Online {
		reason = shorten(orElse(strings.TrimSpace(req.Reason), "The experiment is being looked after."), 120)
	}
	err = g.desk.SetState(r.Context(), s.Tenant, name, req.Online, reason, string(s.Person))
	if happened(err) {
		state := "on-line"
		if !req.Online {
			state = "off-line: " + reason
		}
		g.recordBy(r.Context(), s, audit.ExperimentState, "experiment:"+name, state)
	}
	return err
}
