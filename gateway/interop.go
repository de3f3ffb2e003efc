package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions"
)

// tokens returns what verifies the signed tokens of a booking system that is
// still in use, nil when no secret is configured. They name no tenant: they are
// good in the one that answers at their audience, PublicURL.
func (c *Config) tokens() (*relay.Tokens, error) {
	if len(c.JWTSecret) == 0 && c.JWTSecretFresh == nil {
		return nil, nil //nolint:nilnil // no secret is no verifier and no fault
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("gateway: public_url: %w", err)
	}
	tenant, known := c.Hosts[strings.ToLower(u.Host)]
	if !known {
		return nil, errors.New("gateway: signed tokens are good at public_url, whose host is not among those that are answered for")
	}
	return relay.NewTokens(relay.TokensConfig{Secret: c.JWTSecret, Fresh: c.JWTSecretFresh, Audience: c.PublicURL, Tenant: tenant})
}

// denialHints carries the relay's hints by the signals of sessions: a hint's name
// has the form of an id and is none.
type denialHints struct{ signals sessions.Signals }

func (h denialHints) Publish(ctx context.Context, tenant lodge.Tenant, name string) error {
	return h.signals.Publish(ctx, sessions.Signal{Tenant: tenant, IDs: []sessions.ID{sessions.ID(name)}})
}

func (h denialHints) Subscribe(ctx context.Context, fn func(lodge.Tenant, string)) error {
	return h.signals.Subscribe(ctx, func(s sessions.Signal) {
		for _, id := range s.IDs {
			fn(s.Tenant, string(id))
		}
	})
}

// hints returns nil without signals: then there is no other node.
func hints(signals sessions.Signals) relay.Hints {
	if signals == nil {
		return nil
	}
	return denialHints{signals}
}

// scoped says whether a code is a service's that has one of practable's scopes.
func (g *Gateway) scoped(ctx context.Context, tenant lodge.Tenant, code, scope string) (bool, error) {
	s, err := g.sessions.Check(ctx, tenant, code)
	if err != nil {
		return false, err
	}
	return s.Kind == sessions.Service && slices.Contains(s.Scopes, scope), nil
}

// endCode revokes the one experiment session of a code, at its holder's wish.
// Those of hardware and automation are the laboratory's to end.
func (g *Gateway) endCode(ctx context.Context, tenant lodge.Tenant, code, topic string) error {
	s, err := g.sessions.Check(ctx, tenant, code)
	switch {
	case errors.Is(err, sessions.ErrRevoked) && s.Kind == sessions.Experiment:
		return nil
	case errors.Is(err, sessions.ErrExpired):
		return relay.ErrEnded
	case err != nil && !errors.Is(err, sessions.ErrPending):
		return err
	case !opens(s, topic):
		return relay.ErrTopic
	case s.Kind != sessions.Experiment:
		return lodge.E(lodge.CodeForbidden, "The code of a host or a service is ended by the laboratory, not with itself.")
	}
	if err := g.sessions.Revoke(ctx, tenant, s.ID, relay.ErrGivenUp.Reason); err != nil {
		return err
	}
	g.recordBy(ctx, s, audit.SessionEnd, "session:"+string(s.ID), relay.ErrGivenUp.Reason)
	return nil
}
