package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// RelayElsewhere is the RelayURL of a node that carries no streams.
const RelayElsewhere = "elsewhere"

// A Fleet is what the relays of several nodes share.
type Fleet struct {
	Leases relay.Leases
	Notes  relay.Notes
	Asks   relay.Asks
}

// States keep which experiments are off-line, for relays that cannot read the
// database.
type States interface {
	// SetState keeps the state of an experiment since a time; an older one never
	// replaces a newer one.
	SetState(ctx context.Context, tenant lodge.Tenant, experiment string, online bool, reason string, since time.Time) error
	// State returns the state of an experiment, and why it is off-line. One that was
	// never set is on-line.
	State(ctx context.Context, tenant lodge.Tenant, experiment string) (online bool, reason string, err error)
}

// completeRelay checks what is said about this node's streams, and lets its own
// host name be answered for.
func (c *Config) completeRelay() []error {
	if c.RelayLease < 0 || c.RelayLease > 8*time.Second {
		return []error{errors.New("relay_lease is at most 8s: hosts and viewers are to meet again within ten")}
	}
	if c.RelayURL == "" || c.RelayURL == RelayElsewhere {
		return nil
	}
	c.RelayURL = strings.ToLower(strings.TrimSuffix(c.RelayURL, "/"))
	u, err := url.Parse(c.RelayURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Scheme+"://"+u.Host != c.RelayURL {
		return []error{errors.New("relay_url is neither an origin such as https://relay1.lab.example.org nor the word elsewhere")}
	}
	public, err := url.Parse(c.PublicURL)
	if err != nil {
		return []error{fmt.Errorf("public_url: %w", err)}
	}
	if _, known := c.Hosts[u.Host]; !known {
		c.Hosts = maps.Clone(c.Hosts)
		c.Hosts[u.Host] = c.Hosts[strings.ToLower(public.Host)]
		c.relayHost = u.Host
	}
	return nil
}

// servedAt reports whether a path is served at the host of a request: at the one
// that only streams are reached at, nothing else is.
func (g *Gateway) servedAt(r *http.Request) bool {
	if g.cfg.relayHost == "" || !strings.EqualFold(r.Host, g.cfg.relayHost) {
		return true
	}
	return strings.HasPrefix(r.URL.Path, "/session/") || r.URL.Path == "/status" || r.URL.Path == "/healthz"
}

// relayOptions are those of every relay, in a gateway or on its own.
func (g *Gateway) relayOptions(tokens *relay.Tokens, parts Parts) relay.Options {
	o := relay.Options{
		BaseURL:       func(*http.Request) string { return websocketBase(g.cfg.PublicURL) },
		Tenant:        func(r *http.Request) lodge.Tenant { return tenantOf(r.Context()) },
		OriginAllowed: g.originAllowed,
		Address:       func(r *http.Request) string { return addressOf(r.Context()) },
		Tokens:        tokens,
		Denials:       parts.Denials,
		Hints:         hints(parts.Signals),
		Logger:        parts.Log,
		LeasePoll:     g.cfg.LeasePoll,
		LeaseGrace:    g.cfg.LeaseGrace,
		MaxPerPerson:  g.cfg.StreamsPerPerson,
		MaxPerAddress: g.cfg.StreamsPerAddress,
	}
	if g.metrics != nil && !g.cfg.NoCanary && g.cfg.RelayURL != RelayElsewhere {
		o.Canary = g.heard
	}
	if g.cfg.RelayURL == "" {
		return o
	}
	self := relay.Node{ID: rand.Text(), Life: g.cfg.RelayLease}
	if g.cfg.RelayURL != RelayElsewhere {
		self.URL = websocketBase(g.cfg.RelayURL)
	}
	o.Fleet = &relay.Fleet{
		Self: self, Tenants: slices.Compact(slices.Sorted(maps.Values(g.cfg.Hosts))),
		Leases: parts.Fleet.Leases, Notes: parts.Fleet.Notes, Asks: parts.Fleet.Asks,
	}
	return o
}

// websocketBase is an origin as websockets write it.
func websocketBase(origin string) string { return "ws" + strings.TrimPrefix(origin, "http") }

// stateOf says whether an experiment is in service, by the database.
func (g *Gateway) stateOf(ctx context.Context, tenant lodge.Tenant, experiment string) (online bool, reason string, err error) {
	state, err := g.desk.State(ctx, tenant, experiment)
	return state.Online, state.Reason, err
}

// stateChanged brings the state of an experiment, as it is now, to where relays
// read it, and has them look. It may be repeated, in any order.
func (g *Gateway) stateChanged(ctx context.Context, tenant lodge.Tenant, experiment string) error {
	defer g.relay.Recheck(ctx, tenant, experiment)
	if g.states == nil {
		return nil
	}
	state, err := g.desk.State(ctx, tenant, experiment)
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		return nil // the catalogue has it no more, and no code for it is good
	}
	if err != nil {
		return err
	}
	return g.states.SetState(ctx, tenant, experiment, state.Online, state.Reason, state.Since)
}
