package sessions

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/lodge-gateway/lodge"
)

// visit is the kind of the session of a browser that is not signed in: it holds
// the state of a login under way. No code has its prefix, so none opens it.
const visit Kind = "visit"

// visitLife is how long a visit lasts. A login under way may take ten minutes.
const visitLife = 15 * time.Minute

// BrowserConfig says how the login cookie is made.
type BrowserConfig struct {
	// CookieName is __Host-lodge wherever Secure is set, and lodge-dev on plain
	// http on loopback.
	CookieName string
	Secure     bool
	Tenant     func(*http.Request) lodge.Tenant

	Lifetime time.Duration // of a login, absolute; zero means 24 h
	Idle     time.Duration // after which a login is narrowed; zero means 1 h
}

// A Browser keeps a person's login in a cookie. It is scs with the faults known
// of it kept out: a commit that comes late cannot bring an ended session back
// (our store keeps a tombstone), a renewed token does not get a new deadline,
// nothing is written for being read, and the cookie that a browser came with
// before the login dies with it.
//
// Its methods work on a request's context under Middleware, and set the cookie at
// once: call them before the response is begun.
type Browser struct {
	m   *Manager
	cfg BrowserConfig
	scs *scs.SessionManager
}

// Browser returns the keeper of the login cookie.
func (m *Manager) Browser(cfg BrowserConfig) *Browser {
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = 24 * time.Hour
	}
	if cfg.Idle <= 0 {
		cfg.Idle = time.Hour
	}
	// Not scs.New: it starts a goroutine for a memory store that nobody can stop.
	return &Browser{m: m, cfg: cfg, scs: &scs.SessionManager{
		Lifetime: cfg.Lifetime, // and no IdleTimeout: ours is in the record, scs would write on every request
		Store:    browserStore{m}, Codec: valuesCodec{}, HashTokenInStore: true,
	}}
}

// visitor is one request's browser.
type visitor struct {
	w      http.ResponseWriter
	base   context.Context // static: the request's
	tenant lodge.Tenant    // static

	mu      sync.Mutex
	secret  string          // guarded by mu: of the cookie; empty when there was none that can be good
	ctx     context.Context // guarded by mu: scs's own, nil before the first use
	session *Session        // guarded by mu: as last read or stored, nil when there is none
	signing *Session        // guarded by mu: what the next commit of a new token creates
}

type visitorKey struct{}

func visitorOf(ctx context.Context) *visitor {
	v, ok := ctx.Value(visitorKey{}).(*visitor)
	if !ok {
		panic("sessions: Browser used on a request that did not come through its Middleware")
	}
	return v
}

// Middleware makes the browser known to the handlers behind it. It reads nothing
// by itself.
func (b *Browser) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visitor{w: w, tenant: b.cfg.Tenant(r), secret: b.secret(r)}
		v.base = context.WithValue(r.Context(), visitorKey{}, v)
		next.ServeHTTP(w, r.WithContext(v.base))
	})
}

// secret returns the secret of the login cookie. What has not the form of one
// counts as none, and so do several that differ: one of them was planted.
func (b *Browser) secret(r *http.Request) string {
	found := ""
	for _, c := range r.CookiesNamed(b.cfg.CookieName) {
		kind, secret, ok := parseCode(c.Value)
		if !ok || kind != Login || found != "" && found != secret {
			return ""
		}
		found = secret
	}
	return found
}

// load reads the browser's session from the store, again if it was read before.
// v.mu is held.
func (b *Browser) load(v *visitor) error {
	v.session, v.signing = nil, nil
	inner, err := b.scs.Load(v.base, v.secret)
	if err != nil {
		return unavailable(err)
	}
	v.ctx = inner
	return nil
}

// open locks the request's browser and reads its session on first use.
func (b *Browser) open(ctx context.Context) (*visitor, func(), error) {
	v := visitorOf(ctx)
	v.mu.Lock()
	if v.ctx == nil {
		if err := b.load(v); err != nil {
			v.mu.Unlock()
			return nil, nil, err
		}
	}
	return v, v.mu.Unlock, nil
}

// commit stores what was changed and sets the cookie when the token is new.
func (b *Browser) commit(v *visitor) error {
	token, _, err := b.scs.Commit(v.ctx)
	if err != nil {
		return err
	}
	if token != v.secret {
		v.secret = token
		b.setCookie(v, prefixes[Login]+token, v.session.ExpiresAt)
	}
	return nil
}

// Put keeps a small value in the browser's session, which is made if there is
// none. It is stored when Put returns.
func (b *Browser) Put(ctx context.Context, name string, value []byte) error {
	return b.modify(ctx, func(inner context.Context) bool {
		b.scs.Put(inner, name, value)
		return true
	})
}

// Pop takes a value out of the browser's session; nil when there is none. Of
// several requests that pop the same value exactly one gets it.
func (b *Browser) Pop(ctx context.Context, name string) ([]byte, error) {
	var value []byte
	err := b.modify(ctx, func(inner context.Context) bool {
		value = b.scs.PopBytes(inner, name)
		return value != nil
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}

// modify changes the browser's values and stores them, upon the newest state of
// the session. When that was ended while the request was under way it stays so,
// and the error is CodeConflict.
func (b *Browser) modify(ctx context.Context, fn func(inner context.Context) bool) error {
	v, unlock, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for range changeTries {
		if !fn(v.ctx) {
			return nil
		}
		err := b.commit(v)
		if err == nil {
			return nil
		}
		v.ctx = nil // what was not stored must not be stored with the next change
		switch {
		case errors.Is(err, ErrRevoked), errors.Is(err, ErrExpired), errors.Is(err, ErrUnknown):
			return lodge.Wrap(lodge.CodeConflict, "You signed in or out in another window. Load the page again.", err)
		case errors.Is(err, ErrValues):
			return lodge.Wrap(lodge.CodeTooLarge, "That is too much to keep in a browser's session.", err)
		case !errors.Is(err, ErrStale):
			return unavailable(err)
		}
		if err := b.load(v); err != nil {
			return err
		}
	}
	return unavailable(ErrStale)
}

// Current returns the login that the browser holds if it is active. Otherwise
// the error is that of Manager.Check.
func (b *Browser) Current(ctx context.Context) (Session, error) {
	v, unlock, err := b.open(ctx)
	if err != nil {
		return Session{}, err
	}
	defer unlock()
	if v.session == nil || v.session.Kind != Login {
		return Session{}, refusal(ErrUnknown)
	}
	return *v.session, refusalIn(v.session.State(b.m.clock.Now()))
}

// SignIn makes a login session under a new code. Whatever the browser came with
// is over, be it a visit, another login or a planted cookie; none of its values
// survive. Kind, Tenant, ExpiresAt and IdleAfter of n are the Browser's to
// choose when they are zero.
func (b *Browser) SignIn(ctx context.Context, n New) (Session, error) {
	v, unlock, err := b.open(ctx)
	if err != nil {
		return Session{}, err
	}
	defer unlock()
	now := b.m.clock.Now()
	n.Kind, n.Tenant = Login, v.tenant
	if n.ExpiresAt.IsZero() {
		n.ExpiresAt = now.Add(b.cfg.Lifetime)
	}
	if n.IdleAfter == 0 {
		n.IdleAfter = b.cfg.Idle
	}
	s, err := n.session("", now)
	if err != nil {
		return Session{}, err
	}
	if err := b.replace(v, s); err != nil {
		return Session{}, err
	}
	return *v.session, nil
}

// Renew gives the browser's login a new code, as every change of privilege
// needs. Its end stays where it was; values that were Put are gone.
func (b *Browser) Renew(ctx context.Context) (Session, error) {
	old, err := b.Current(ctx)
	if err != nil {
		return Session{}, err
	}
	v, unlock, err := b.open(ctx)
	if err != nil {
		return Session{}, err
	}
	defer unlock()
	old.Version = 1
	if err := b.replace(v, old); err != nil {
		return Session{}, err
	}
	return *v.session, nil
}

// replace ends the browser's session and creates s under a new token. v.mu is
// held.
func (b *Browser) replace(v *visitor, s Session) error {
	// RenewToken ends the old session and starts a full Lifetime anew: the
	// deadline is put back to what it must be.
	if err := b.scs.RenewToken(v.ctx); err != nil {
		return unavailable(err)
	}
	if err := b.scs.Clear(v.ctx); err != nil {
		return unavailable(err)
	}
	b.scs.SetDeadline(v.ctx, s.ExpiresAt)
	v.session, v.signing = nil, &s
	if err := b.commit(v); err != nil {
		v.ctx = nil // the old session is over, and the new one is not there
		return unavailable(err)
	}
	return nil
}

// SignOut ends the browser's session and takes the cookie away. Without a
// session only the cookie goes.
func (b *Browser) SignOut(ctx context.Context) error {
	v, unlock, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := b.scs.Destroy(v.ctx); err != nil {
		return unavailable(err)
	}
	v.session, v.signing, v.secret = nil, nil, ""
	b.setCookie(v, "", time.Time{})
	return nil
}

// setCookie sets the login cookie, in place of one set by this request before;
// an empty value removes it.
func (b *Browser) setCookie(v *visitor, value string, ends time.Time) {
	c := &http.Cookie{
		Name: b.cfg.CookieName, Value: value, Path: "/", Secure: b.cfg.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1,
	}
	if value != "" {
		c.MaxAge = max(1, int(ends.Sub(b.m.clock.Now())/time.Second))
	}
	header := v.w.Header()
	others := header.Values("Set-Cookie")
	header.Del("Set-Cookie")
	for _, line := range others {
		if other, err := http.ParseSetCookie(line); err != nil || other.Name != c.Name {
			header.Add("Set-Cookie", line)
		}
	}
	http.SetCookie(v.w, c)
	header.Set("Cache-Control", "no-store")
}
