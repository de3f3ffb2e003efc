package gateway

import (
	"context"
	"net/http"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// letThrough returns the login for which a proxy may let a request through. It
// is person, for what is asked before each request of every other service:
//
//   - it may take what was read a moment ago, where the operator allows that;
//   - it looks at a booking's cookie only when there is no login, since then alone
//     it matters, for saying what is wrong;
//   - it counts as use, whoever asks: what stands behind a proxy may be used by
//     scripts alone.
//
// The session must not be changed.
func (g *Gateway) letThrough(r *http.Request, tenant lodge.Tenant) (*sessions.Session, error) {
	login, err := g.recent(r, tenant, g.loginCookie(), sessions.Login)
	switch {
	case err != nil:
		return nil, err
	case login != nil && login.Idle(g.clock.Now()):
		return nil, errIdle()
	case login != nil:
		g.touch(r.Context(), login)
		return login, nil
	}
	booking, err := g.recent(r, tenant, g.bookingCookie(), sessions.Booking)
	switch {
	case err != nil:
		return nil, err
	case booking != nil:
		return nil, errBookingOnly()
	}
	return nil, errSignIn()
}

// recent is cookie for letThrough.
func (g *Gateway) recent(r *http.Request, tenant lodge.Tenant, name string, kind sessions.Kind) (*sessions.Session, error) {
	s, err := g.sessions.CheckRecent(r.Context(), tenant, soleCookie(r, name))
	return goodOne(s, kind, err)
}

// admit answers that a request may pass, and whose it is.
func (g *Gateway) admit(w http.ResponseWriter, s *sessions.Session) {
	h := w.Header()
	for _, field := range g.identities.of(s) {
		h[field.name] = field.values
	}
	w.WriteHeader(http.StatusOK)
}

// me says who acts.
func (g *Gateway) me(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	member, err := g.membership(r.Context(), s)
	if err != nil {
		return err
	}
	audience, _, err := g.audiences(r.Context(), s, "", 500, false)
	if err != nil {
		return err
	}
	me := Me{
		Tenant: string(s.Tenant), Person: string(s.Person), Name: s.Name, Kind: string(s.Kind), Groups: list(s.Groups), Booking: s.Booking,
		Roles: []RoleView{}, Session: g.sessionView(s, s.ID), Topics: member.topics, Audience: []string{},
	}
	for _, a := range audience {
		me.Audience = append(me.Audience, a.value)
	}
	for _, b := range s.Bindings {
		me.Roles = append(me.Roles, RoleView{Role: string(b.Role), Scope: string(b.Scope)})
	}
	return writeJSON(w, http.StatusOK, me)
}

// list makes sure that nothing is written as [] and not as null.
func list[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

// healthz says that the process serves; it reads nothing.
func (g *Gateway) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// Readiness answers GET /readyz of a node that is ready, with what its canary said;
// a canary that is late or lost makes it no less ready, since balancers would take
// away what still works.
type Readiness struct {
	Status string      `json:"status"`
	Canary *CanaryView `json:"canary,omitempty"` // absent without one, and until it has spoken
}

// readyz says that requests will be served: everything runs, nothing is about to
// stop, and the stores answer.
func (g *Gateway) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := g.isReady(r.Context()); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, Readiness{"ready", g.canary.view()})
}

func (g *Gateway) isReady(ctx context.Context) error {
	select {
	case <-g.ready:
	default:
		return lodge.E(lodge.CodeUnavailable, "Starting; not ready yet.")
	}
	if g.draining.Load() {
		return lodge.E(lodge.CodeUnavailable, "Stopping; ask another node.")
	}
	if err := g.sessions.Ping(ctx); err != nil {
		return lodge.Wrap(lodge.CodeUnavailable, "The session store does not answer.", err)
	}
	for _, check := range g.checks {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}
