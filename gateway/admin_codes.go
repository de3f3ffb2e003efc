package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// CodesView answers GET /api/v1/admin/codes. The codes themselves were shown when
// they were made, and are kept nowhere.
type CodesView struct {
	Codes []SessionView `json:"codes"`
}

// Codes lists the live codes of hosts and services, the newest first.
func (g *Gateway) Codes(ctx context.Context, tenant lodge.Tenant) (CodesView, error) {
	view := CodesView{Codes: []SessionView{}}
	for _, kind := range []sessions.Kind{sessions.Host, sessions.Service} {
		found, err := g.listed(ctx, sessions.Session{Tenant: tenant}, sessions.Filter{Kind: kind})
		if err != nil {
			return CodesView{}, err
		}
		view.Codes = append(view.Codes, found...)
	}
	slices.SortStableFunc(view.Codes, func(a, b SessionView) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return view, nil
}

// RevokeCode ends the code of a host or a service, by the id of its session. It
// is the one way to end a host's.
func (g *Gateway) RevokeCode(ctx context.Context, tenant lodge.Tenant, id, reason string) error {
	target, err := g.sessions.Get(ctx, tenant, sessions.ID(id))
	if err == nil && target.Kind != sessions.Host && target.Kind != sessions.Service {
		err = errNotThere("code")
	}
	if err != nil {
		return err
	}
	reason = shorten(orElse(strings.TrimSpace(reason), "The laboratory revoked this code."), 120)
	if err := g.sessions.Revoke(ctx, tenant, target.ID, reason); err != nil {
		return err
	}
	g.record(ctx, tenant, actorIn(ctx), audit.CodeRevoke, "session:"+id, aboutCode(target)+"; "+reason)
	return nil
}

// aboutCode says what a host or service code is for.
func aboutCode(s sessions.Session) string {
	if s.Kind == sessions.Host {
		return "host of " + s.Experiment
	}
	return "service with " + strings.Join(s.Scopes, " ")
}

func (g *Gateway) listCodes(w http.ResponseWriter, r *http.Request) error {
	by, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	view, err := g.Codes(r.Context(), by.Tenant)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

func (g *Gateway) revokeCode(w http.ResponseWriter, r *http.Request) error {
	by, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	if err := g.RevokeCode(withActor(r.Context(), by), by.Tenant, chi.URLParam(r, "id"), ""); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
