package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/sessions"
)

func (g *Gateway) planRegisters(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req SeriesRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	planned, err := g.plan(r.Context(), s, req, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, map[string]any{"registers": plannedViews(planned, true)})
}

// plan plans the registers of a group.
func (g *Gateway) plan(ctx context.Context, s sessions.Session, req SeriesRequest, key string) ([]attendance.Planned, error) {
	if !teaches(s.Principal(), req.Group) {
		return nil, lodge.E(lodge.CodeForbidden, "Only an instructor of the group may open its register.")
	}
	if err := g.exists(ctx, s.Tenant, "group:"+req.Group); err != nil {
		return nil, err
	}
	series := attendance.Series{ID: keyed(s, key), Title: req.Title, Group: req.Group, Length: time.Duration(req.Minutes) * time.Minute, Times: max(req.Times, 1)}
	var err error
	if series.Rules, err = req.rules(); err != nil {
		return nil, err
	}
	if series.Start, err = g.seriesStart(req); err != nil {
		return nil, err
	}
	if req.Minutes < 1 || req.Minutes > 24*60 || req.Times < 0 {
		return nil, lodge.E(lodge.CodeRefused, "A register covers a day at most; open one for each day.")
	}
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return nil, err
	}
	planned, err := g.register.Plan(ctx, s.Tenant, s.Person, series)
	if err != nil {
		return nil, err
	}
	if len(planned) > 0 {
		g.recordBy(ctx, s, audit.RegisterPlan, "register:"+planned[0].ID, fmt.Sprintf("of group:%s: %s, %d times", req.Group, req.Title, len(planned)))
	}
	return planned, nil
}

// seriesStart is when a series begins, on the clock that it follows: the zone's that
// was named, else the institution's.
func (g *Gateway) seriesStart(req SeriesRequest) (time.Time, error) {
	place := g.cfg.Zone
	if place == nil {
		place = time.UTC
	}
	if req.Zone == "" {
		req.Zone = place.String()
	}
	start, err := moment(req.Start, req.Zone, "the start")
	if err != nil {
		return start, err
	}
	if start.IsZero() || !storable(start) {
		return start, lodge.E(lodge.CodeRefused, "Say when the first hour begins.")
	}
	if req.Zone == "Local" {
		req.Zone = "UTC"
	}
	if place, err = time.LoadLocation(req.Zone); err != nil {
		return start, lodge.Wrap(lodge.CodeRefused, "There is no time zone "+shorten(req.Zone, 40)+"; name one such as Europe/London, or UTC.", err)
	}
	return start.In(place), nil
}

func plannedViews(all []attendance.Planned, keeps bool) []PlannedView {
	views := []PlannedView{}
	for _, p := range all {
		view := PlannedView{ID: p.ID, Title: p.Title, Group: p.Group, Start: p.Start, End: p.End, Series: p.Series, RegisterRules: rulesView(p.Rules)}
		if keeps {
			view.Problem = p.Problem
		}
		for _, a := range p.Apologies {
			view.Apology = apologyView(a)
		}
		views = append(views, view)
	}
	return views
}

func (g *Gateway) listPlanned(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	kept, coming, err := g.plannedOf(r.Context(), s)
	if err != nil {
		return err
	}
	views := append(plannedViews(kept, true), plannedViews(coming, false)...)
	slices.SortStableFunc(views, func(a, b PlannedView) int { return a.Start.Compare(b.Start) })
	return writeJSON(w, http.StatusOK, map[string]any{"registers": views})
}

// plannedOf are the planned registers that a person keeps, and those of their own
// groups that they will stand in.
func (g *Gateway) plannedOf(ctx context.Context, s sessions.Session) (kept, coming []attendance.Planned, err error) {
	all, err := g.register.Plans(ctx, s.Tenant, s.Person)
	for _, p := range all {
		switch {
		case teaches(s.Principal(), p.Group):
			kept = append(kept, p)
		case slices.Contains(s.Groups, p.Group) && p.Problem == "":
			coming = append(coming, p)
		}
	}
	return kept, coming, err
}

func (g *Gateway) unplanRegister(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if err := g.unplan(r.Context(), s, chi.URLParam(r, "id"), r.URL.Query().Get("rest") == "true"); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// unplan takes a planned register back, and with rest those that follow it.
func (g *Gateway) unplan(ctx context.Context, s sessions.Session, id string, rest bool) error {
	kept, _, err := g.plannedOf(ctx, s)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(kept, func(p attendance.Planned) bool { return p.ID == id }) {
		return errNotThere("register")
	}
	err = g.register.Unplan(ctx, s.Tenant, id, rest)
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		return lodge.E(lodge.CodeConflict, "It is too late for that: the register is open.")
	}
	if err != nil {
		return err
	}
	what := "alone"
	if rest {
		what = "with the rest of its series"
	}
	g.recordBy(ctx, s, audit.RegisterUnplan, "register:"+id, what)
	return nil
}
