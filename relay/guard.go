package relay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// KindToken is the Kind of a grant that a signed token gives.
const KindToken = "token"

// The kinds of Access that the guard tells apart.
const (
	kindExperiment = "experiment"
	kindService    = "service"
)

// What both kinds of code are refused with, so that a caller cannot tell them
// apart.
var (
	ErrCode     = lodge.E(lodge.CodeUnauthenticated, "This code is not valid. Sign in again, or ask for a new one.")
	ErrTopic    = lodge.E(lodge.CodeForbidden, "That code does not open this topic.")
	ErrEarly    = lodge.E(lodge.CodeForbidden, "The booking has not started yet.")
	ErrEnded    = &Refusal{StatusExpired, "The booking has ended."}
	ErrDenied   = &Refusal{StatusRevoked, "The booking was cancelled."}
	ErrGivenUp  = &Refusal{StatusRevoked, "This code was ended by whoever holds it."}
	errNotGiven = lodge.E(lodge.CodeForbidden, "That code may not do this; one with the scope for it may.")
)

// A guard stands before Access: it answers for signed tokens itself, and asks
// Denials about every grant that can be denied.
type guard struct {
	access  Access
	tokens  *Tokens // nil: none are accepted
	denials Denials
	hints   Hints
	clock   lodge.Clock
	logger  *slog.Logger

	mu      sync.Mutex
	watches map[hint]map[*func()]struct{} // guarded by mu
}

// hint is what those who watch a key are found by: the key itself stays here.
type hint struct {
	tenant lodge.Tenant
	name   string
}

func newGuard(access Access, clock lodge.Clock, opts *Options) *guard {
	return &guard{
		access: access, tokens: opts.Tokens, denials: opts.Denials, hints: opts.Hints, clock: clock, logger: opts.Logger,
		watches: map[hint]map[*func()]struct{}{},
	}
}

// Grant implements Access.
func (g *guard) Grant(ctx context.Context, tenant lodge.Tenant, code, topic string) (Grant, error) {
	var grant Grant
	var err error
	if t, ok, tokenErr := g.token(tenant, code); ok {
		grant, err = t.grant(tenant, topic, tokenErr)
	} else {
		grant, err = g.access.Grant(ctx, tenant, code, topic)
	}
	if err != nil {
		return Grant{}, alike(err)
	}
	if topic == CanaryTopic {
		return Grant{}, ErrTopic
	}
	// The status names people's addresses: an experiment's stream that happens to
	// have its name does not open it.
	if topic == StatsTopic && grant.Kind != KindToken && grant.Kind != kindService {
		return Grant{}, ErrTopic
	}
	return grant, g.denied(ctx, grant)
}

// Renew implements Access. What a token says does not change: only whether it is
// denied.
func (g *guard) Renew(ctx context.Context, old Grant) (Grant, error) {
	grant := old
	if old.Kind == kindCanary {
		return old, nil
	}
	if old.Kind != KindToken {
		var err error
		if grant, err = g.access.Renew(ctx, old); err != nil {
			return Grant{}, err
		}
	}
	return grant, g.denied(ctx, grant)
}

// Watch implements Access.
func (g *guard) Watch(grant Grant, fn func()) (stop func()) {
	stops := []func(){}
	if grant.Kind == kindCanary {
		return func() {}
	}
	if grant.Kind != KindToken {
		stops = append(stops, g.access.Watch(grant, fn))
	}
	for _, key := range keysOf(grant) {
		stops = append(stops, g.watch(hint{grant.Tenant, hash(string(key))}, fn))
	}
	if grant.Experiment != "" {
		stops = append(stops, g.watch(experimentHint(grant.Tenant, grant.Experiment), fn))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

func (g *guard) watch(h hint, fn func()) (stop func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watches[h] == nil {
		g.watches[h] = map[*func()]struct{}{}
	}
	g.watches[h][&fn] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watches[h], &fn)
		if len(g.watches[h]) == 0 {
			delete(g.watches, h)
		}
	}
}

// tell wakes whoever on this node watches what a hint names.
func (g *guard) tell(h hint) {
	g.mu.Lock()
	fns := make([]func(), 0, len(g.watches[h]))
	for fn := range g.watches[h] {
		fns = append(fns, *fn)
	}
	g.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
}

// experimentHint names an experiment whose state has changed.
func experimentHint(tenant lodge.Tenant, experiment string) hint {
	return hint{tenant, hash("experiment:" + experiment)}
}

// keysOf returns what a grant can be denied by. A host is not denied with a
// booking: its code belongs to none.
func keysOf(grant Grant) []DenialKey {
	var keys []DenialKey
	if grant.Kind == KindToken {
		keys = append(keys, TokenKey(grant.Session))
	}
	if grant.Booking != "" && (grant.Kind == KindToken || grant.Kind == kindExperiment) {
		keys = append(keys, BookingKey(grant.Booking))
	}
	return keys
}

// denied returns the refusal of a grant that is denied, and an error when that
// cannot be found out.
func (g *guard) denied(ctx context.Context, grant Grant) error {
	keys := keysOf(grant)
	if len(keys) == 0 {
		return nil
	}
	found, err := g.denials.Denied(ctx, grant.Tenant, g.clock.Now(), keys...)
	switch {
	case err != nil:
		return unavailable(err)
	case slices.Contains(found, TokenKey(grant.Session)):
		return ErrGivenUp
	case len(found) > 0:
		return ErrDenied
	}
	return nil
}

// token verifies a code that has the form of a token, where tokens are accepted;
// ok is false for every other code.
func (g *guard) token(tenant lodge.Tenant, code string) (t token, ok bool, err error) {
	if g.tokens == nil || tenant != g.tokens.tenant || !isToken(code) {
		return token{}, false, nil
	}
	t, err = g.tokens.verify(code, g.clock.Now())
	return t, true, err
}

// grant returns what a token gives on a topic, in the words that are used for
// opaque codes.
func (t token) grant(tenant lodge.Tenant, topic string, err error) (Grant, error) {
	if err := refusalOfToken(err); err != nil {
		return Grant{}, err
	}
	g := Grant{Tenant: tenant, Session: t.id, Kind: KindToken, Booking: t.booking, Topic: topic, Ends: t.ends}
	if t.topic == topic {
		g.Read = t.has(scopeRead) || topic == StatsTopic && t.has(ScopeStats)
		g.Write = t.has(scopeWrite)
	}
	if !g.Read && !g.Write {
		return Grant{}, ErrTopic
	}
	return g, nil
}

func refusalOfToken(err error) error {
	switch {
	case err == nil || lodge.CodeOf(err) == lodge.CodeUnavailable:
		return err
	case errors.Is(err, errTokenLate):
		return ErrEnded
	case errors.Is(err, errTokenEarly):
		return ErrEarly
	default:
		return ErrCode
	}
}

// alike makes every answer to an unknown code the same one.
func alike(err error) error {
	if e, ok := errors.AsType[*lodge.Error](err); ok && e.Code == lodge.CodeUnauthenticated {
		return &lodge.Error{Code: e.Code, Safe: ErrCode.Safe, Err: err}
	}
	return err
}

// unavailable wraps a failure of the denials' store, or of the secret's file.
func unavailable(err error) error {
	if _, ok := errors.AsType[*lodge.Error](err); ok {
		return err
	}
	return lodge.Wrap(lodge.CodeUnavailable, "Lodge could not check this code just now; try again in a moment.", err)
}

// allowed returns nil when a code has a scope: by the token's own words, or by
// what answers for opaque codes.
func (g *guard) allowed(ctx context.Context, tenant lodge.Tenant, code, scope string, opaque Allowed) error {
	t, ok, err := g.token(tenant, code)
	if !ok {
		given, err := opaque(ctx, tenant, code, scope)
		if err == nil && !given {
			err = errNotGiven
		}
		return alike(err)
	}
	if err := refusalOfToken(err); err != nil {
		return err
	}
	if err := g.denied(ctx, Grant{Tenant: tenant, Session: t.id, Kind: KindToken, Booking: t.booking}); err != nil {
		return err
	}
	if !t.has(scope) {
		return errNotGiven
	}
	return nil
}

// end ends a code for good, at its holder's wish: a token by denying it for the
// rest of its life.
func (g *guard) end(ctx context.Context, tenant lodge.Tenant, code, topic string, opaque End) error {
	t, ok, err := g.token(tenant, code)
	if !ok {
		return alike(opaque(ctx, tenant, code, topic))
	}
	if errors.Is(err, errTokenEarly) {
		err = nil // it can be given up before it counts
	}
	grant, err := t.grant(tenant, topic, err)
	if err != nil {
		return err
	}
	return g.deny(ctx, tenant, TokenKey(grant.Session), t.ends)
}

// deny denies a key until a time and a little longer, and has whoever is
// connected through it looked at now, on every node.
func (g *guard) deny(ctx context.Context, tenant lodge.Tenant, key DenialKey, until time.Time) error {
	if err := g.denials.Deny(ctx, tenant, key, until.Add(skew), g.clock.Now()); err != nil {
		return unavailable(err)
	}
	g.publish(ctx, hint{tenant, hash(string(key))})
	return nil
}

// publish has whoever watches what a hint names looked at now, on every node.
func (g *guard) publish(ctx context.Context, h hint) {
	g.tell(h)
	// The change is stored, and a lost hint is made up for by the lease poll: a
	// caller that gives up, or a failure here, must not make it look undone.
	if err := g.hints.Publish(context.WithoutCancel(ctx), h.tenant, h.name); err != nil {
		g.logger.WarnContext(ctx, "relay: hint not published; the lease poll will do", "err", err)
	}
}

// run listens to the hints of other nodes until ctx ends.
func (g *guard) run(ctx context.Context) {
	const most = 5 * time.Second
	wait := 50 * time.Millisecond
	for {
		begun := time.Now()
		err := g.hints.Subscribe(ctx, func(tenant lodge.Tenant, name string) { g.tell(hint{tenant, name}) })
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > most {
			wait = 50 * time.Millisecond // it stood for a while
		}
		g.logger.WarnContext(ctx, "relay: no hints from other nodes; the lease poll goes on", "err", err)
		timer := time.NewTimer(wait/2 + rand.N(wait/2)) // nodes must not come back in step
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, most)
	}
}
