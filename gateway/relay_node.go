package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/http/pprof" // what it adds to the default mux is served nowhere
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions"
)

// A RelayNode carries streams and does nothing else, on a machine that reaches the
// session store and not the database. It asks about a code as a gateway does; what
// needs the database (to end codes, to deny bookings, the audit trail) is a
// gateway's.
type RelayNode struct {
	// A Gateway of which nothing is used but what the routes below need: who asks,
	// which origins may, what the session store says.
	g *Gateway
}

// NewRelayNode joins the parts of a relay on its own: Clock, Sessions, Denials,
// Signals, Fleet, States, Log and Checks.
func NewRelayNode(cfg Config, parts Parts) (*RelayNode, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if cfg.RelayURL == "" || cfg.RelayURL == RelayElsewhere {
		return nil, errors.New("gateway: a relay on its own needs the URL at which its streams are reached")
	}
	tokens, err := cfg.tokens()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, clock: parts.Clock, log: parts.Log, uiOrigins: map[string]bool{cfg.AssetsURL: true},
		sessions: parts.Sessions, metrics: parts.Metrics, checks: parts.Checks, ready: make(chan struct{}),
	}
	for _, origin := range cfg.UIOrigins {
		g.uiOrigins[origin] = true
	}
	options := g.relayOptions(tokens, parts)
	options.Allowed, options.Decided = g.scoped, g.logRelay
	options.End = func(context.Context, lodge.Tenant, string, string) error {
		return lodge.E(lodge.CodeForbidden, "Codes are ended at "+cfg.PublicURL+", not at this relay.")
	}
	g.relay = relay.New(access{parts.Sessions, parts.Clock, parts.States.State}, parts.Clock, options)
	g.tellMetrics()
	return &RelayNode{g}, nil
}

// logRelay tells of what was refused: the audit trail is out of reach.
func (g *Gateway) logRelay(r *http.Request, d relay.Decision) {
	actor := "nobody"
	if d.Token != "" {
		actor = "token:" + d.Token
	}
	g.log.InfoContext(r.Context(), "relay: "+string(d.Verdict), "actor", actor, "address", addressOf(r.Context()),
		"method", r.Method, "path", r.URL.Path, "reason", d.Reason)
}

// Handler serves the public routes.
func (n *RelayNode) Handler() http.Handler {
	g, r := n.g, chi.NewRouter()
	r.Use(g.bare, g.identify, g.observe)
	r.NotFound(g.api(func(http.ResponseWriter, *http.Request) error {
		return lodge.E(lodge.CodeNotFound, "Only streams are here. Everything else is at "+g.cfg.PublicURL+".")
	}))
	r.Get("/healthz", g.api(g.healthz))
	r.Group(func(r chi.Router) {
		r.Use(g.cors)
		r.Handle("/session/*", http.HandlerFunc(g.relay.Session))
		r.Get("/status", g.relay.Status)
	})
	return r
}

// bare sets the headers that matter where there are no pages.
func (g *Gateway) bare(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if strings.HasPrefix(g.cfg.RelayURL, "https:") {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// Admin returns the routes of the admin listener; see Gateway.Admin.
func (n *RelayNode) Admin() http.Handler {
	r := chi.NewRouter()
	r.Use(n.g.observe)
	r.NotFound(n.g.api(func(http.ResponseWriter, *http.Request) error { return errNotThere("address") }))
	r.Get("/readyz", n.g.api(n.g.readyz))
	n.g.metricsRoute(r)
	profiles(r)
	return r
}

// profiles serves where the time and the memory of a running node go: go tool
// pprof reads it.
func profiles(r chi.Router) {
	r.Get("/debug/pprof/*", pprof.Index)
	r.Get("/debug/pprof/profile", pprof.Profile)
	r.Get("/debug/pprof/trace", pprof.Trace)
}

// Metrics is Gateway.Metrics.
func (n *RelayNode) Metrics() http.Handler { return n.g.Metrics() }

// Ready waits until everything runs and the other nodes know of this one.
func (n *RelayNode) Ready(ctx context.Context) error { return n.g.Ready(ctx) }

// Run is Gateway.Run.
func (n *RelayNode) Run(ctx context.Context) error {
	return n.g.runAll(ctx, map[string]func(context.Context) error{"sessions": n.g.sessions.Run, "relay": n.g.relay.Run})
}

// Drain is Gateway.Drain.
func (n *RelayNode) Drain(ctx context.Context) error {
	n.g.draining.Store(true)
	return n.g.relay.Drain(ctx)
}

// NoJournal is the sessions.Journal of a node that reaches none: it revokes
// nothing, and leaves it to others to say what stands.
type NoJournal struct{}

var _ sessions.Journal = NoJournal{}

// Record implements sessions.Journal.
func (NoJournal) Record(context.Context, ...sessions.Revocation) error {
	return lodge.E(lodge.CodeUnavailable, "This node cannot end sessions; a gateway can.")
}

// Standing implements sessions.Journal.
func (NoJournal) Standing(context.Context, lodge.Tenant, time.Time) ([]sessions.Revocation, error) {
	return nil, nil
}

// Collect implements sessions.Journal.
func (NoJournal) Collect(context.Context, time.Time) (int, error) { return 0, nil }
