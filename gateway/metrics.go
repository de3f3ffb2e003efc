package gateway

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
)

// tellMetrics has told what every node has.
func (g *Gateway) tellMetrics() {
	if g.metrics == nil {
		return
	}
	g.metrics.Relay(g.relay.Stats)
	g.metrics.Ready(g.isReady)
}

// measured notes a request. One that became a connection of its own has no
// duration, and one that nothing is at no route.
func (g *Gateway) measured(r *http.Request, status int, took time.Duration) {
	if g.metrics == nil || status == 0 || status == http.StatusSwitchingProtocols {
		return
	}
	route := ""
	if known := chi.RouteContext(r.Context()); known != nil && status != http.StatusMisdirectedRequest {
		route = known.RoutePattern()
	}
	g.metrics.Request(route, status, took)
}

// published notes an append to the message log.
func (g *Gateway) published(begun time.Time, err error) {
	if g.metrics != nil {
		g.metrics.Published(time.Since(begun), err)
	}
}

// Metrics returns what a listener for Prometheus serves: /metrics, /readyz and
// /healthz, and no command. It needs no authentication beyond who can reach it.
func (g *Gateway) Metrics() http.Handler {
	r := chi.NewRouter()
	r.NotFound(g.api(func(http.ResponseWriter, *http.Request) error { return errNotThere("address") }))
	r.Get("/healthz", g.api(g.healthz))
	r.Get("/readyz", g.api(g.readyz))
	g.metricsRoute(r)
	return r
}

func (g *Gateway) metricsRoute(r chi.Router) {
	if g.metrics != nil {
		r.Method(http.MethodGet, "/metrics", g.metrics.Handler())
	}
}
