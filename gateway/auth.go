package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// bearer returns the code of an Authorization header, which practable clients
// send bare and others with a scheme.
func bearer(r *http.Request) string {
	value := strings.TrimSpace(r.Header.Get("Authorization"))
	if scheme, code, ok := strings.Cut(value, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(code)
	}
	return value
}

// touchLimit is how long a request waits for its own note that somebody was there:
// a store that takes no writes is no reason to keep them waiting.
const touchLimit = 500 * time.Millisecond

// errSignIn is what a request without a good session is told.
func errSignIn() error {
	return lodge.E(lodge.CodeUnauthenticated, "You are not signed in, or your session has ended; sign in again.")
}

// errNotThere answers for what does not exist and for what is not yours alike.
func errNotThere(what string) error {
	return lodge.E(lodge.CodeNotFound, "There is no such "+what+" that you can see.")
}

// errIdle is what a login is told that was left alone for too long: it is good
// still, but first somebody has to say that they are there.
func errIdle() error {
	return &lodge.Error{
		Code: lodge.CodeUnauthenticated, Safe: "You have been away for a while; continue, or sign in again.",
		Details: map[string]any{"idle": true},
	}
}

// errBookingOnly is what a booking session is told where a person is needed.
func errBookingOnly() error {
	return lodge.E(lodge.CodeForbidden, "A booking reference opens that booking only; sign in to do this.")
}

// callers are the sessions a browser holds: a login, and beside it one booking
// opened by surname and reference.
type callers struct {
	login   *sessions.Session
	booking *sessions.Session
	idle    *sessions.Session // a login narrowed by idleness; login is nil then
}

// callers reads the cookies of a request and notes that their sessions are in
// use, unless it was a script that read: a page of ours that was left open and
// refreshes itself is no sign of somebody there.
func (g *Gateway) callers(r *http.Request) (callers, error) {
	c, err := g.holds(r)
	if err != nil || (r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Dest") == "empty") {
		return c, err
	}
	for _, s := range []*sessions.Session{c.login, c.booking} {
		if s != nil {
			g.touch(r.Context(), s)
		}
	}
	return c, nil
}

// touch notes that a session is in use, when that is due.
func (g *Gateway) touch(ctx context.Context, s *sessions.Session) {
	if !g.sessions.TouchDue(s) {
		return
	}
	limited, cancel := context.WithTimeout(ctx, touchLimit)
	defer cancel()
	if err := g.sessions.Touch(limited, *s); err != nil {
		// An unrecorded visit is no reason to turn somebody away.
		g.log.WarnContext(ctx, "touch", "err", err)
	}
}

// holds reads the cookies of a request straight from the session store. A
// malformed cookie counts as none; only an unreachable store is an error.
func (g *Gateway) holds(r *http.Request) (callers, error) {
	var c callers
	var err error
	if c.login, err = g.cookie(r, g.loginCookie(), sessions.Login); err != nil {
		return c, err
	}
	if c.booking, err = g.cookie(r, g.bookingCookie(), sessions.Booking); err != nil {
		return c, err
	}
	if c.login != nil && c.login.Idle(g.clock.Now()) {
		c.login, c.idle = nil, c.login
	}
	return c, nil
}

// cookie returns the active session of one kind that a cookie holds, or nil.
func (g *Gateway) cookie(r *http.Request, name string, kind sessions.Kind) (*sessions.Session, error) {
	s, err := g.sessions.Check(r.Context(), tenantOf(r.Context()), soleCookie(r, name))
	return goodOne(&s, kind, err)
}

// goodOne returns a checked session if it is active and of a kind, else nil: one
// that is not good counts as none. An error remains when nobody could tell.
func goodOne(s *sessions.Session, kind sessions.Kind, err error) (*sessions.Session, error) {
	switch {
	case lodge.CodeOf(err) == lodge.CodeUnauthenticated, err == nil && s.Kind != kind:
		return nil, nil //nolint:nilnil // see above
	case err != nil:
		return nil, err
	}
	return s, nil
}

// main returns whom a request acts for where no booking is named: the login
// when there is one, else the booking session.
func (c callers) main() (sessions.Session, error) {
	switch {
	case c.login != nil:
		return *c.login, nil
	case c.idle != nil:
		return sessions.Session{}, errIdle()
	case c.booking != nil:
		return *c.booking, nil
	default:
		return sessions.Session{}, errSignIn()
	}
}

// caller is main for handlers that need nothing else.
func (g *Gateway) caller(r *http.Request) (sessions.Session, error) {
	c, err := g.callers(r)
	if err != nil {
		return sessions.Session{}, err
	}
	return c.main()
}

// person is the signed-in person: a booking session is not enough.
func (g *Gateway) person(r *http.Request) (sessions.Session, error) {
	s, err := g.caller(r)
	if err == nil && s.Kind != sessions.Login {
		return sessions.Session{}, errBookingOnly()
	}
	return s, err
}

// holding is the signed-in person, who must hold the role in the scope.
func (g *Gateway) holding(r *http.Request, role lodge.Role, scope lodge.Scope) (sessions.Session, error) {
	s, err := g.person(r)
	if err != nil {
		return s, err
	}
	if p := s.Principal(); !p.Can(role, scope) {
		return s, lodge.E(lodge.CodeForbidden, "Only somebody with the role "+string(role)+" may do this; ask your laboratory if that should be you.")
	}
	return s, nil
}

// presented is the session of the code in the Authorization header; routes that
// use it ignore cookies.
func (g *Gateway) presented(r *http.Request, kind sessions.Kind) (sessions.Session, error) {
	code := bearer(r)
	if code == "" {
		return sessions.Session{}, lodge.E(lodge.CodeUnauthenticated, "Send the code in an Authorization header.")
	}
	s, err := g.sessions.Check(r.Context(), tenantOf(r.Context()), code)
	if err != nil && (s.Kind != kind || lodge.CodeOf(err) != lodge.CodeUnauthenticated) {
		return sessions.Session{}, err
	}
	if s.Kind != kind {
		return sessions.Session{}, lodge.E(lodge.CodeForbidden, "That code is for something else; a "+string(kind)+" code is needed here.")
	}
	return s, err
}

// isOver reports whether err is that of a session that was good once: its holder
// may be told how it ended.
func isOver(err error) bool {
	return errors.Is(err, sessions.ErrExpired) || errors.Is(err, sessions.ErrRevoked) || errors.Is(err, sessions.ErrPending)
}
