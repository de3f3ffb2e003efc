package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// A Recorder keeps the audit trail; *audit.Trail is the one.
//
// The gateway records what gives a right, takes one or refuses one, when it is
// decided. It does not record each use of a right that was given: /auth/verify,
// an accepted request, a frame on a socket write nothing.
type Recorder interface {
	// Record returns when the event is durable.
	Record(ctx context.Context, e audit.Event) error
	List(ctx context.Context, tenant lodge.Tenant, f audit.Filter) ([]audit.Entry, error)
	Verify(ctx context.Context, after uint64) (audit.Report, error)
	// Run keeps what the trail needs beside its entries until ctx ends.
	Run(ctx context.Context) error
}

type actorKey struct{}

// withActor says who is behind what is done with a context; without it that is
// the operator's command line.
func withActor(ctx context.Context, s sessions.Session) context.Context {
	return context.WithValue(ctx, actorKey{}, actorOf(s))
}

// withIssuer says that an issuer is behind it: what it tells of somebody.
func withIssuer(ctx context.Context, issuer string) context.Context {
	return context.WithValue(ctx, actorKey{}, "issuer:"+issuer)
}

func actorIn(ctx context.Context) string {
	if actor, ok := ctx.Value(actorKey{}).(string); ok {
		return actor
	}
	return "cli"
}

// actorOf names a session's holder: the person who signed in, else the session
// alone, since a reference or a code tells nothing of who has it.
func actorOf(s sessions.Session) string {
	switch s.Kind {
	case sessions.Login:
		return "person:" + string(s.Person)
	case sessions.Host, sessions.Service:
		return string(s.Kind) + ":" + string(s.ID)
	default:
		return "session:" + string(s.ID)
	}
}

// record writes a decision to the audit trail. The decision stands even when it
// cannot be written; then the log has it, as an error.
func (g *Gateway) record(ctx context.Context, tenant lodge.Tenant, actor string, action audit.Action, object, reason string) {
	if g.audit == nil {
		return
	}
	e := audit.Event{Tenant: tenant, Actor: actor, Action: action, Object: object, Reason: reason, Address: addressOf(ctx)}
	if err := g.audit.Record(ctx, e); err != nil {
		g.log.ErrorContext(ctx, "a decision was not recorded in the audit trail", "event", e, "err", err)
	}
}

// recordBy is record for a decision about a session's wish.
func (g *Gateway) recordBy(ctx context.Context, s sessions.Session, action audit.Action, object, reason string) {
	g.record(ctx, s.Tenant, actorOf(s), action, object, reason)
}

// recordDenial records an answer of 403, whichever rule gave it.
func (g *Gateway) recordDenial(r *http.Request, err error) {
	if lodge.CodeOf(err) != lodge.CodeForbidden || r.Method == http.MethodOptions ||
		r.URL.Path == "/auth/verify" || strings.HasPrefix(r.URL.Path, "/callback/") {
		return // a preflight decides nothing; of the others see Recorder and recordSignIn
	}
	actor := "nobody"
	if c, err := g.holds(r); err == nil {
		switch {
		case c.login != nil:
			actor = actorOf(*c.login)
		case c.idle != nil:
			actor = actorOf(*c.idle)
		case c.booking != nil:
			actor = actorOf(*c.booking)
		default:
			if s, err := g.sessions.Check(r.Context(), tenantOf(r.Context()), bearer(r)); err == nil || isOver(err) {
				actor = actorOf(s)
			}
		}
	}
	g.record(r.Context(), tenantOf(r.Context()), actor, audit.Deny, r.Method+" "+shownPath(r), reasonOf(err))
}

// recordSignIn records how a sign-in ended.
func (g *Gateway) recordSignIn(ctx context.Context, issuer string, s sessions.Session, err error) {
	switch {
	case err == nil:
		g.recordBy(ctx, s, audit.SignIn, "issuer:"+issuer, "session "+string(s.ID)+"; "+rights(s))
	case decided(err):
		g.record(ctx, tenantOf(ctx), "nobody", audit.SignInRefused, "issuer:"+issuer, reasonOf(err))
	}
}

// recordReplaced records what a sign-in took away: the login that the browser came
// with, those beyond the cap, and rights that the person had with the last login
// that is still known and has no more, or the other way round.
func (g *Gateway) recordReplaced(ctx context.Context, s, replaced sessions.Session) {
	if replaced.ID != "" {
		g.recordBy(ctx, replaced, audit.SessionEnd, "session:"+string(replaced.ID), "somebody signed in anew in this browser")
	}
	all, err := g.sessions.List(ctx, s.Tenant, sessions.Filter{Person: s.Person, Kind: sessions.Login})
	if err != nil {
		g.log.WarnContext(ctx, "audit: earlier logins", "err", err)
		return
	}
	all = slices.DeleteFunc(all, func(other sessions.Session) bool { return other.ID == s.ID })
	if len(all) == 0 {
		return
	}
	for _, other := range all {
		if other.Reason == sessions.CapReason && !other.RevokedAt.Before(s.CreatedAt) {
			g.recordBy(ctx, s, audit.SessionEnd, "session:"+string(other.ID), other.Reason)
		}
	}
	last := slices.MaxFunc(all, func(a, b sessions.Session) int { return a.CreatedAt.Compare(b.CreatedAt) })
	g.recordRoleChange(ctx, s.Tenant, actorOf(s), s.Person, rights(last), rights(s))
}

// recordRoleChange records that a person has other rights than before.
func (g *Gateway) recordRoleChange(ctx context.Context, tenant lodge.Tenant, actor string, person lodge.PersonID, before, now string) {
	if before != now {
		g.record(ctx, tenant, actor, audit.RoleChange, "person:"+string(person), "before: "+before+"; now: "+now)
	}
}

// rights are a session's roles and groups in words.
func rights(s sessions.Session) string {
	roles := make([]string, 0, len(s.Bindings))
	for _, b := range s.Bindings {
		roles = append(roles, string(b.Role)+"@"+string(b.Scope))
	}
	groups := slices.Clone(s.Groups)
	slices.Sort(roles)
	slices.Sort(groups)
	return "roles " + orElse(strings.Join(roles, ", "), "none") + "; groups " + orElse(strings.Join(groups, ", "), "none")
}

// recordLookup records how a lookup ended. What was typed is in neither: a
// surname and a reference are together a key.
func (g *Gateway) recordLookup(ctx context.Context, s sessions.Session, err error) {
	switch {
	case err == nil:
		g.recordBy(ctx, s, audit.Lookup, "booking:"+s.Booking, "opened by surname and reference")
	case decided(err):
		g.record(ctx, tenantOf(ctx), "nobody", audit.LookupRefused, "lookup", reasonOf(err))
	}
}

// decided reports whether an error is a decision and not a failure to make one.
func decided(err error) bool {
	code := lodge.CodeOf(err)
	return code != lodge.CodeUnavailable && code != lodge.CodeInternal
}

// happened reports whether a change of a booking stands, be it that it has not
// taken effect everywhere yet.
func happened(err error) bool {
	e, ok := errors.AsType[*lodge.Error](err)
	return err == nil || ok && e.Details["pending"] == true
}

func reasonOf(err error) string {
	if e, ok := errors.AsType[*lodge.Error](err); ok {
		return e.Safe
	}
	return "an internal error"
}

// VerifyAudit looks for tampering behind an entry of the trail; 0 means all of
// it.
func (g *Gateway) VerifyAudit(ctx context.Context, after uint64) (audit.Report, error) {
	if g.audit == nil {
		return audit.Report{}, errors.New("gateway: there is no audit trail")
	}
	return g.audit.Verify(ctx, after)
}
