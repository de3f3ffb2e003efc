package gateway

import (
	"cmp"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// MergeRequest is the body of POST /api/v1/admin/persons/{id}/merge: what the
// preview was asked for, and its version.
type MergeRequest struct {
	Into    string `json:"into"`
	Version string `json:"version"`
}

// getMergePreview shows what a merge of two persons would do.
func (g *Gateway) getMergePreview(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	preview, err := g.previewMerge(r.Context(), s.Tenant, lodge.PersonID(chi.URLParam(r, "id")), lodge.PersonID(r.URL.Query().Get("into")))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, preview)
}

func (g *Gateway) postMerge(w http.ResponseWriter, r *http.Request) error {
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	var req MergeRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	survivor, err := g.merge(r, s, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, personView(survivor))
}

// merge merges the person a request names into another, as it was shown to the
// administrator, and returns that other.
func (g *Gateway) merge(r *http.Request, s sessions.Session, req MergeRequest) (idp.Person, error) {
	ctx, from := r.Context(), lodge.PersonID(chi.URLParam(r, "id"))
	preview, err := g.previewMerge(ctx, s.Tenant, from, lodge.PersonID(req.Into))
	if err != nil {
		return idp.Person{}, err
	}
	if preview.Version != req.Version {
		return idp.Person{}, lodge.E(lodge.CodeConflict, "What would be merged has changed since it was shown; look at it again.")
	}
	m, err := g.persons.Merge(ctx, idp.Merge{Tenant: s.Tenant, From: from, Into: lodge.PersonID(preview.Into.ID), By: s.Person, At: g.clock.Now()})
	if err != nil {
		return idp.Person{}, err
	}
	g.recordBy(ctx, s, audit.Merge, "person:"+string(m.From), "into person:"+string(m.Into))
	if err := (merges{g}).now(ctx, m); err != nil {
		return idp.Person{}, err
	}
	return g.onePerson(r, s.Tenant, m.Into)
}

func (g *Gateway) postUnmerge(w http.ResponseWriter, r *http.Request) error {
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	back, err := g.unmerge(r, s)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, personView(back))
}

// unmerge undoes the merge of the person a request names, and returns them.
func (g *Gateway) unmerge(r *http.Request, s sessions.Session) (idp.Person, error) {
	ctx, from := r.Context(), lodge.PersonID(chi.URLParam(r, "id"))
	m, err := g.persons.Unmerge(ctx, s.Tenant, from, s.Person, g.clock.Now())
	if err != nil {
		return idp.Person{}, err
	}
	g.recordBy(ctx, s, audit.Unmerge, "person:"+string(m.From), "from person:"+string(m.Into))
	if err := (merges{g}).now(ctx, m); err != nil {
		return idp.Person{}, err
	}
	return g.onePerson(r, s.Tenant, from)
}

func (g *Gateway) onePerson(r *http.Request, tenant lodge.Tenant, id lodge.PersonID) (idp.Person, error) {
	found, err := g.persons.Get(r.Context(), tenant, id)
	if err != nil || len(found) == 0 {
		return idp.Person{}, cmp.Or(err, errNotThere("person"))
	}
	return found[0], nil
}
