package gateway

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
)

// Ready waits until Run has started everything, and the other nodes know of this
// one.
func (g *Gateway) Ready(ctx context.Context) error {
	select {
	case <-g.ready:
		return g.relay.Joined(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Admin returns the routes of the admin listener, for the operator's command
// line. It must be bound where only the operator reaches it: the listener is
// the authentication.
func (g *Gateway) Admin() http.Handler {
	r := chi.NewRouter()
	r.Use(g.observe)
	r.NotFound(g.api(func(http.ResponseWriter, *http.Request) error { return errNotThere("address") }))
	r.Get("/readyz", g.api(g.readyz))
	g.metricsRoute(r)
	profiles(r)
	g.commandRoutes(r)
	r.Post("/codes", g.api(func(w http.ResponseWriter, r *http.Request) error {
		var req CodeRequest
		if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
			return err
		}
		view, err := g.CreateCode(r.Context(), lodge.DefaultTenant, req)
		if err != nil {
			return err
		}
		return writeJSON(w, http.StatusCreated, view)
	}))
	return r
}
