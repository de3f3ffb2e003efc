package gateway

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// PersonView is a person as an administrator sees them.
type PersonView struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	FamilyName string        `json:"family_name,omitempty"`
	Email      string        `json:"email,omitempty"`
	Groups     []string      `json:"groups"`
	Guest      bool          `json:"guest"`
	Disabled   bool          `json:"disabled"`
	Subjects   []SubjectView `json:"subjects"`
}

// SubjectView is one account of a person at an issuer.
type SubjectView struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// PersonsView answers GET /api/v1/admin/persons. After is set when there may be
// more: ask again with it.
type PersonsView struct {
	Persons []PersonView `json:"persons"`
	After   string       `json:"after,omitempty"`
}

// DisableRequest is the body of PUT /api/v1/admin/persons/{id}/disabled.
type DisableRequest struct {
	Disabled bool   `json:"disabled"`
	Reason   string `json:"reason,omitempty"`
}

func personView(p idp.Person) PersonView {
	view := PersonView{
		ID: string(p.ID), Name: p.Name, FamilyName: p.FamilyName, Email: p.Email, Groups: list(p.Groups), Guest: p.Guest, Disabled: p.Disabled,
		Subjects: []SubjectView{},
	}
	for _, s := range p.Subjects {
		view.Subjects = append(view.Subjects, SubjectView{s.Issuer, s.Subject})
	}
	return view
}

// The pages in which people are read and answered with.
const (
	personsRead  = 500
	personsShown = 100
)

// listPersons finds people by any part of their names, e-mail, id or account.
func (g *Gateway) listPersons(w http.ResponseWriter, r *http.Request) error {
	by, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	limit := personsShown
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > personsRead {
			return lodge.E(lodge.CodeInvalid, "The limit is a number from 1 to "+strconv.Itoa(personsRead)+".")
		}
	}
	view := PersonsView{Persons: []PersonView{}}
	after := lodge.PersonID(q.Get("after"))
	for {
		page, err := g.persons.List(r.Context(), by.Tenant, after, personsRead)
		if err != nil {
			return err
		}
		for _, p := range page {
			after = p.ID
			if fields := searched(p); !matches(q.Get("q"), fields...) {
				continue
			}
			if view.Persons = append(view.Persons, personView(p)); len(view.Persons) == limit {
				view.After = string(after)
				return writeJSON(w, http.StatusOK, view)
			}
		}
		if len(page) < personsRead {
			return writeJSON(w, http.StatusOK, view)
		}
	}
}

func searched(p idp.Person) []string {
	fields := []string{p.Name, p.FamilyName, p.Email, string(p.ID)}
	for _, s := range p.Subjects {
		fields = append(fields, s.Issuer+":"+s.Subject)
	}
	return fields
}

// putDisabled bars a person, or lets them in again.
func (g *Gateway) putDisabled(w http.ResponseWriter, r *http.Request) error {
	by, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	var req DisableRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	id := lodge.PersonID(chi.URLParam(r, "id"))
	if id == by.Person {
		return lodge.E(lodge.CodeRefused, "You cannot disable your own account: nobody might be left to enable it.")
	}
	ctx := withActor(r.Context(), by)
	if err := g.setDisabled(ctx, by.Tenant, id, req); err != nil {
		return err
	}
	found, err := g.persons.Get(ctx, by.Tenant, id)
	if err != nil || len(found) == 0 {
		return cmp.Or(err, errNotThere("person"))
	}
	return writeJSON(w, http.StatusOK, personView(found[0]))
}

// setDisabled disables or enables an account. A disabled one loses every session
// and cannot get another: first the bar stands, then what was there is ended, and
// what is made while that happens finds the bar (barred). Its bookings stay.
func (g *Gateway) setDisabled(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, req DisableRequest) error {
	if err := g.persons.SetDisabled(ctx, tenant, id, req.Disabled); err != nil {
		return err
	}
	reason := strings.TrimSpace(req.Reason)
	if !req.Disabled {
		g.record(ctx, tenant, actorIn(ctx), audit.PersonEnable, "person:"+string(id), reason)
		return nil
	}
	n, err := g.sessions.RevokePerson(ctx, tenant, id, errBarred().Safe)
	if err != nil {
		reason += " (not all sessions could be ended yet)"
	}
	g.record(ctx, tenant, actorIn(ctx), audit.PersonDisable, "person:"+string(id), strconv.Itoa(n)+" sessions ended; "+reason)
	return err
}

func errBarred() *lodge.Error {
	return lodge.Wrap(lodge.CodeForbidden, "This account has been disabled. Please ask your laboratory.", idp.ErrDisabled)
}

// barred ends a session that was just made, and says why, when its person may
// have none. Made first and asked then: an account that is disabled meanwhile
// loses either this session or the right to it.
func (g *Gateway) barred(ctx context.Context, s sessions.Session) error {
	found, err := g.persons.Get(ctx, s.Tenant, s.Person)
	if err == nil && len(found) == 1 && !found[0].Disabled {
		return nil
	}
	return cmp.Or(g.sessions.Revoke(ctx, s.Tenant, s.ID, errBarred().Safe), err, error(errBarred()))
}
