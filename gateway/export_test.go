package gateway

import "github.com/go-chi/chi/v5"

// Routes are what Handler serves, for a test to walk.
func (g *Gateway) Routes() chi.Routes { return g.routes() }
