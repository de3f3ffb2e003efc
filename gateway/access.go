package gateway

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions"
)

// access answers the relay's questions from sessions and the states of
// experiments: what a code opens, whether it still does, and when to ask again.
type access struct {
	sessions *sessions.Manager
	clock    lodge.Clock
	// state says whether an experiment is in service, and if not, why.
	state func(ctx context.Context, tenant lodge.Tenant, experiment string) (online bool, reason string, err error)
}

func (a access) Grant(ctx context.Context, tenant lodge.Tenant, code, topic string) (relay.Grant, error) {
	s, err := a.sessions.Check(ctx, tenant, code)
	if err != nil && !isOver(err) {
		return relay.Grant{}, err
	}
	return a.grant(ctx, s, topic)
}

func (a access) Renew(ctx context.Context, old relay.Grant) (relay.Grant, error) {
	s, err := a.sessions.Get(ctx, old.Tenant, sessions.ID(old.Session))
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		// The store has lost it, or it was collected: to its holder as if it had run out.
		return relay.Grant{}, lodge.Wrap(lodge.CodeUnauthenticated, "This code is not known any more; launch the experiment again.", err)
	}
	if err != nil {
		return relay.Grant{}, err
	}
	return a.grant(ctx, s, old.Topic)
}

func (a access) Watch(g relay.Grant, fn func()) (stop func()) {
	return a.sessions.Watch(g.Tenant, sessions.ID(g.Session), func(sessions.Session, error) { fn() })
}

// grant says what a session opens on a topic now. A session that is known but
// has lost its right gets a refusal that names the reason.
func (a access) grant(ctx context.Context, s sessions.Session, topic string) (relay.Grant, error) {
	switch s.Kind {
	case sessions.Experiment, sessions.Host, sessions.Service:
	default:
		return relay.Grant{}, lodge.E(lodge.CodeForbidden, "That code does not open streams; launch the experiment to get one that does.")
	}
	switch s.State(a.clock.Now()) {
	case sessions.Active:
	case sessions.Revoked:
		return relay.Grant{}, &relay.Refusal{Close: relay.StatusRevoked, Reason: orElse(s.Reason, relay.ErrDenied.Reason)}
	case sessions.Pending:
		return relay.Grant{}, relay.ErrEarly
	default:
		return relay.Grant{}, relay.ErrEnded
	}
	g := relay.Grant{
		Tenant: s.Tenant, Session: string(s.ID), Kind: string(s.Kind), Person: s.Person, Name: s.Name,
		Booking: s.Booking, Experiment: s.Experiment, Topic: topic, Ends: s.ExpiresAt,
		Read: slices.Contains(s.Scopes, "read:"+topic), Write: slices.Contains(s.Scopes, "write:"+topic),
	}
	g.MaxMessage = sizeOn(s.Scopes, topic)
	if topic == relay.StatsTopic && slices.Contains(s.Scopes, relay.ScopeStats) {
		g.Read = true
	}
	g.Held = !g.Write && slices.Contains(s.Scopes, rightHold+":"+topic)
	if !g.Read && !g.Write && !g.Held {
		return relay.Grant{}, relay.ErrTopic
	}
	if s.Kind == sessions.Experiment && !isTest(s) {
		online, reason, err := a.state(ctx, s.Tenant, s.Experiment)
		if err != nil {
			return relay.Grant{}, err
		}
		if !online {
			return relay.Grant{}, &relay.Refusal{Close: relay.StatusOffline, Reason: orElse(reason, "The experiment is off-line.")}
		}
	}
	return g, nil
}

// scopeSize begins the scope that bounds the messages of a stream, in bytes, for
// relays, which read sessions and not the catalogue: max:TOPIC=BYTES.
const scopeSize = "max:"

// sizeScope is that scope, if the stream has a bound of its own.
func sizeScope(stream booking.Stream) []string {
	if stream.MaxMessage == 0 {
		return nil
	}
	return []string{scopeSize + stream.Topic + "=" + strconv.Itoa(stream.MaxMessage)}
}

// sizeOn returns what scopes say about the messages on a topic; zero: nothing.
func sizeOn(scopes []string, topic string) int64 {
	for _, scope := range scopes {
		if of, found := strings.CutPrefix(scope, scopeSize+topic+"="); found {
			n, err := strconv.ParseInt(of, 10, 64)
			if err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
