package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// RevokeRequest is the body of POST /api/v1/admin/sessions/revoke. It names
// exactly one of a session, a person, a kind and all.
type RevokeRequest struct {
	Session string `json:"session,omitempty"`
	Person  string `json:"person,omitempty"`
	Kind    string `json:"kind,omitempty"` // any but host
	All     bool   `json:"all,omitempty"`
	Reason  string `json:"reason,omitempty"` // the holders read it
}

func (r RevokeRequest) check() error {
	named := btoi(r.Session != "") + btoi(r.Person != "") + btoi(r.Kind != "") + btoi(r.All)
	kinds := []sessions.Kind{"", sessions.Login, sessions.Booking, sessions.Experiment, sessions.Service}
	switch {
	case named != 1:
		return lodge.E(lodge.CodeRefused, "Name exactly one of: a session, a person, a kind, or all.")
	case !slices.Contains(kinds, sessions.Kind(r.Kind)):
		return lodge.E(lodge.CodeRefused, "The kind is login, booking, experiment or service; the codes of hosts are revoked one by one.")
	}
	return nil
}

// RevokedView answers it.
type RevokedView struct {
	Ended int `json:"ended"`
}

// Sessions lists the live sessions of a tenant that match a filter.
func (g *Gateway) Sessions(ctx context.Context, tenant lodge.Tenant, f sessions.Filter) ([]SessionView, error) {
	setDefault(&f.Limit, maxListed)
	return g.listed(ctx, sessions.Session{Tenant: tenant}, f)
}

// RevokeSessions ends one session, all of a person's, of a kind, or of a tenant's, the
// administrator's own and automation's among them. None of these ends a host's:
// what a person does must not put the hardware out of reach.
func (g *Gateway) RevokeSessions(ctx context.Context, tenant lodge.Tenant, req RevokeRequest) (RevokedView, error) {
	reason := shorten(orElse(strings.TrimSpace(req.Reason), "An administrator ended this session."), 120)
	if err := req.check(); err != nil {
		return RevokedView{}, err
	}
	if req.Session != "" {
		return RevokedView{Ended: 1}, g.endOne(ctx, tenant, sessions.ID(req.Session), reason)
	}
	if req.Person != "" {
		people, err := g.persons.Get(ctx, tenant, lodge.PersonID(req.Person))
		if err != nil || len(people) == 0 {
			return RevokedView{}, cmp.Or(err, errNotThere("person"))
		}
		n, err := g.sessions.RevokePerson(ctx, tenant, people[0].ID, reason)
		g.recordEnded(ctx, tenant, "person:"+req.Person, n, reason, err)
		return RevokedView{Ended: n}, err
	}
	if req.Kind != "" {
		n, err := g.sessions.RevokeKind(ctx, tenant, sessions.Kind(req.Kind), reason)
		g.recordEnded(ctx, tenant, "kind:"+req.Kind, n, reason, err)
		return RevokedView{Ended: n}, err
	}
	n, err := g.sessions.RevokeAll(ctx, tenant, reason)
	g.recordEnded(ctx, tenant, "all", n, reason, err)
	return RevokedView{Ended: n}, err
}

// endable returns a session that an administrator may end: a host's is not.
func (g *Gateway) endable(ctx context.Context, tenant lodge.Tenant, id sessions.ID) (sessions.Session, error) {
	target, err := g.sessions.Get(ctx, tenant, id)
	if err == nil && target.Kind == sessions.Host {
		err = lodge.E(lodge.CodeRefused, "That is the code of a host; without it the experiment is out of reach. Revoke it among the codes if that is what you want.")
	}
	return target, err
}

// endOne ends a session that is not a host's.
func (g *Gateway) endOne(ctx context.Context, tenant lodge.Tenant, id sessions.ID, reason string) error {
	target, err := g.endable(ctx, tenant, id)
	if err != nil {
		return err
	}
	if err := g.sessions.Revoke(ctx, tenant, id, reason); err != nil {
		return err
	}
	g.record(ctx, tenant, actorIn(ctx), audit.SessionEnd, "session:"+string(id), string(target.Kind)+" of person:"+string(target.Person)+"; "+reason)
	return nil
}

// recordEnded records that sessions were ended; some may have been even when err
// says that not all were.
func (g *Gateway) recordEnded(ctx context.Context, tenant lodge.Tenant, whose string, n int, reason string, err error) {
	if n == 0 && err == nil {
		return // or whoever is signed in could fill the trail with nothing
	}
	if err != nil {
		reason += " (not all could be ended yet)"
	}
	g.record(ctx, tenant, actorIn(ctx), audit.SessionsEnd, whose, strconv.Itoa(n)+" sessions; "+reason)
}

func (g *Gateway) revokeSessions(w http.ResponseWriter, r *http.Request) error {
	by, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	var req RevokeRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if err := g.freshToEnd(by, req); err != nil {
		return err
	}
	view, err := g.RevokeSessions(withActor(r.Context(), by), by.Tenant, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// endMineAll ends the caller's sessions: those of the signed-in person, or, for
// one that came by a reference, those of its booking. The one asking stays with
// others.
func (g *Gateway) endMineAll(ctx context.Context, s sessions.Session, others bool) (int, error) {
	const reason = "You ended this session."
	ctx = withActor(ctx, s)
	if s.Kind == sessions.Login {
		var except []sessions.ID
		if others {
			except = append(except, s.ID)
		}
		n, err := g.sessions.RevokePerson(ctx, s.Tenant, s.Person, reason, except...)
		g.recordEnded(ctx, s.Tenant, "person:"+string(s.Person), n, reason, err)
		return n, err
	}
	mine, err := g.sessionsOf(ctx, s)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, one := range mine {
		if others && one.Current {
			continue
		}
		if err := g.sessions.Revoke(ctx, s.Tenant, sessions.ID(one.ID), reason); err != nil {
			return n, err
		}
		n++
	}
	g.recordEnded(ctx, s.Tenant, "booking:"+s.Booking, n, reason, nil)
	return n, nil
}

// revokeOthers ends the caller's other sessions and devices.
func (g *Gateway) revokeOthers(w http.ResponseWriter, r *http.Request) error {
	return g.revokeMine(w, r, true)
}

// revokeAllMine signs the caller out everywhere, here too.
func (g *Gateway) revokeAllMine(w http.ResponseWriter, r *http.Request) error {
	return g.revokeMine(w, r, false)
}

func (g *Gateway) revokeMine(w http.ResponseWriter, r *http.Request, others bool) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	n, err := g.endMineAll(r.Context(), s, others)
	if err != nil {
		return err
	}
	if !others {
		w.Header().Set("Clear-Site-Data", `"storage"`)
	}
	return writeJSON(w, http.StatusOK, RevokedView{Ended: n})
}
