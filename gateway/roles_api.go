package gateway

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
)

// RoleBindingView is a role binding of the catalogue: a role within a scope, and
// whom it is given to.
type RoleBindingView struct {
	Name string `json:"name"`
	booking.RoleBinding
}

// RoleBindingsView answers GET /api/v1/admin/roles.
type RoleBindingsView struct {
	Revision uint64            `json:"revision"`
	Roles    []RoleBindingView `json:"roles"`
}

// RoleRequest asks for a role binding. A person stands for all their accounts.
type RoleRequest struct {
	Name   string `json:"name,omitempty"` // absent: one is made up
	Person string `json:"person,omitempty"`
	booking.RoleBinding
}

// roleBindings lists the role bindings of a tenant, by name.
func (g *Gateway) roleBindings(ctx context.Context, tenant lodge.Tenant) (RoleBindingsView, error) {
	cat, revision, err := g.desk.Export(ctx, tenant, nil)
	if err != nil {
		return RoleBindingsView{}, err
	}
	view := RoleBindingsView{Revision: revision, Roles: []RoleBindingView{}}
	for _, name := range sortedKeys(cat.Roles) {
		view.Roles = append(view.Roles, RoleBindingView{name, cat.Roles[name]})
	}
	return view, nil
}

func (g *Gateway) listRoles(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleViewer, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	view, err := g.roleBindings(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(view.Revision))
	return writeJSON(w, http.StatusOK, view)
}

func (g *Gateway) postRole(w http.ResponseWriter, r *http.Request) error {
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	var req RoleRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	view, err := g.bindRole(r, s, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, view)
}

// bindRole adds a role binding to the catalogue. It takes effect for those who are
// signed in at once.
func (g *Gateway) bindRole(r *http.Request, s sessions.Session, req RoleRequest) (RoleBindingView, error) {
	ctx := r.Context()
	if req.Person != "" {
		found, err := g.persons.Get(ctx, s.Tenant, lodge.PersonID(req.Person))
		if err != nil {
			return RoleBindingView{}, err
		}
		if len(found) == 0 || len(found[0].Subjects) == 0 {
			return RoleBindingView{}, lodge.E(lodge.CodeRefused, "There is no such person who can sign in; look them up under people.")
		}
		for _, one := range found[0].Subjects {
			req.Subjects = append(req.Subjects, one.Issuer+":"+one.Subject)
		}
	}
	if req.Name = strings.TrimSpace(req.Name); req.Name == "" {
		req.Name = req.Role + "-" + strings.ToLower(rand.Text()[:8])
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return RoleBindingView{}, err
	}
	if _, taken := cat.Roles[req.Name]; taken {
		return RoleBindingView{}, lodge.E(lodge.CodeConflict, "There is a role binding "+shorten(req.Name, 80)+" already; choose another name.")
	}
	ch := booking.Change{Put: booking.Catalogue{Roles: map[string]booking.RoleBinding{req.Name: req.RoleBinding}}}
	return RoleBindingView{req.Name, req.RoleBinding}, g.changeRoles(r, s, ch)
}

// unbindRole takes a role binding out of the catalogue.
func (g *Gateway) unbindRole(r *http.Request, s sessions.Session, name string) error {
	cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
	if err != nil {
		return err
	}
	if _, there := cat.Roles[name]; !there {
		return errNotThere("role binding")
	}
	return g.changeRoles(r, s, booking.Change{Remove: []booking.ObjectID{{Kind: "roles", Name: name}}})
}

func (g *Gateway) changeRoles(r *http.Request, s sessions.Session, ch booking.Change) error {
	ctx := withActor(r.Context(), s)
	may, err := g.mayApply(r, s)
	if err != nil {
		return err
	}
	before, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return err
	}
	done, err := g.desk.ApplyChange(ctx, s.Tenant, ch, booking.Decision{By: actorIn(ctx), May: may})
	if happened(err) {
		g.recordApplied(ctx, s.Tenant, done, before)
	}
	return err
}

func (g *Gateway) deleteRole(w http.ResponseWriter, r *http.Request) error {
	s, err := g.freshAdmin(r)
	if err != nil {
		return err
	}
	if err := g.unbindRole(r, s, chi.URLParam(r, "name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
