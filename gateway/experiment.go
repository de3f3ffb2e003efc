package gateway

import (
	"net/http"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge/sessions"
)

// remaining tells an experiment UI, by its code, how its booking stands. A code
// whose booking is over still learns that, and why.
func (g *Gateway) remaining(w http.ResponseWriter, r *http.Request) error {
	s, err := g.presented(r, sessions.Experiment)
	if err != nil && !isOver(err) {
		return err
	}
	return g.answerRemaining(w, r, s)
}

func (g *Gateway) answerRemaining(w http.ResponseWriter, r *http.Request, s sessions.Session) error {
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	streams := []RemainingStream{}
	for _, stream := range g.streamViews(cat.Experiments[s.Experiment], "") {
		streams = append(streams, RemainingStream{For: stream.For, URL: stream.URL, ConnectionType: stream.ConnectionType, Scopes: stream.Scopes, Topic: stream.Topic})
	}
	if isTest(s) {
		now := g.clock.Now()
		return writeJSON(w, http.StatusOK, RemainingView{
			Experiment: s.Experiment, Title: describe(cat, s.Experiment).title, Now: now, End: s.ExpiresAt, State: string(s.State(now)), Reason: s.Reason, Extend: []int{}, Streams: streams,
		})
	}
	b, err := g.desk.Get(r.Context(), s.Tenant, s.Booking)
	if err != nil {
		return err
	}
	view, err := g.bookingView(r.Context(), b, false)
	if err != nil {
		return err
	}
	if !slices.Contains(s.Scopes, scopeExtend) {
		view.Extend = []int{}
	}
	now := g.clock.Now()
	return writeJSON(w, http.StatusOK, RemainingView{
		Booking: b.ID, Experiment: b.Experiment, Title: view.Title, Now: now, End: b.End,
		State: string(s.State(now)), Reason: orElse(s.Reason, b.CancelReason), Extend: view.Extend, Streams: streams,
	})
}

// extendExperiment extends the booking of an experiment code.
func (g *Gateway) extendExperiment(w http.ResponseWriter, r *http.Request) error {
	s, err := g.presented(r, sessions.Experiment)
	if err != nil {
		return err
	}
	if !slices.Contains(s.Scopes, scopeExtend) {
		return errLookupMay()
	}
	var req ExtendRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	b, err := g.desk.Get(r.Context(), s.Tenant, s.Booking)
	if err != nil {
		return err
	}
	if _, err := g.extend(r.Context(), b, s, req.Seconds); err != nil {
		return err
	}
	if s, err = g.sessions.Get(r.Context(), s.Tenant, s.ID); err != nil {
		return err
	}
	return g.answerRemaining(w, r, s)
}

// The lives of codes that hardware and automation hold.
const (
	hostLife    = 10 * 365 * 24 * time.Hour
	serviceLife = 365 * 24 * time.Hour
)

// createCode gives a host or a service its code, which is shown this once.
func (g *Gateway) createCode(w http.ResponseWriter, r *http.Request) error {
	by, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	var req CodeRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	view, err := g.CreateCode(withActor(r.Context(), by), by.Tenant, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, view)
}
