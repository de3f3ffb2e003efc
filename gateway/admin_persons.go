package gateway

import (
	"cmp"
	"context"
	"net/http"
	"slices"
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
	MergedInto string        `json:"merged_into,omitempty"` // whom they count as
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
		Subjects: []SubjectView{}, MergedInto: string(p.MergedInto),
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
	view, err := g.findPersons(r.Context(), by.Tenant, q.Get("q"), lodge.PersonID(q.Get("after")), limit)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// findPersons looks behind an id for people in whom a query is found.
func (g *Gateway) findPersons(ctx context.Context, tenant lodge.Tenant, query string, after lodge.PersonID, limit int) (PersonsView, error) {
	view := PersonsView{Persons: []PersonView{}}
	for {
		page, err := g.persons.List(ctx, tenant, after, personsRead)
		if err != nil {
			return view, err
		}
		for _, p := range page {
			after = p.ID
			if fields := searched(p); !matches(query, fields...) {
				continue
			}
			if view.Persons = append(view.Persons, personView(p)); len(view.Persons) == limit {
				view.After = string(after)
				return view, nil
			}
		}
		if len(page) < personsRead {
			return view, nil
		}
	}
}

func searched(p idp.Person) []string {
	fields := []string{p.Name, p.FamilyName, p.Email, string(p.ID), string(p.MergedInto)}
	for _, s := range p.Subjects {
		fields = append(fields, s.Issuer+":"+s.Subject)
	}
	return fields
}

// putDisabled bars a person, or lets them in again.
func (g *Gateway) putDisabled(w http.ResponseWriter, r *http.Request) error {
	by, err := g.freshAdmin(r)
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
	found, err := g.persons.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	if len(found) == 1 && found[0].MergedInto != "" {
		return lodge.Wrap(lodge.CodeConflict, "This person was merged into another; disable that one, or undo the merge first.", idp.ErrMerged)
	}
	if err := g.persons.SetDisabled(ctx, tenant, id, req.Disabled); err != nil {
		return err
	}
	reason := strings.TrimSpace(req.Reason)
	if !req.Disabled {
		g.record(ctx, tenant, actorIn(ctx), audit.PersonEnable, "person:"+string(id), reason)
		return nil
	}
	n, err := g.endAllOf(ctx, tenant, id)
	if err != nil {
		reason += " (not all sessions could be ended yet)"
	}
	g.record(ctx, tenant, actorIn(ctx), audit.PersonDisable, "person:"+string(id), strconv.Itoa(n)+" sessions ended; "+reason)
	return err
}

// endAllOf ends the sessions of a disabled person, those that still bear the id of
// somebody merged into them too, and says how many.
func (g *Gateway) endAllOf(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID) (int, error) {
	merged, err := g.persons.Merged(ctx, tenant)
	if err != nil {
		return 0, err
	}
	ids := []lodge.PersonID{id}
	if merged.Of(id) == id {
		ids = merged.All(id)
	}
	total := 0
	for _, one := range ids {
		n, err := g.sessions.RevokePerson(ctx, tenant, one, errBarred().Safe)
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

func errBarred() *lodge.Error {
	return lodge.Wrap(lodge.CodeForbidden, "This account has been disabled. Please ask your laboratory.", idp.ErrDisabled)
}

// barred ends a session that was just made, and says why, when its person may
// have none. Made first and asked then: an account that is disabled meanwhile
// loses either this session or the right to it, and so does a login whose account
// is taken away, or whose person is merged into another. A booking that a guest's
// reference opened goes on when the guest is claimed.
func (g *Gateway) barred(ctx context.Context, s sessions.Session) error {
	found, err := g.persons.Get(ctx, s.Tenant, s.Person)
	if err == nil && len(found) == 1 && found[0].MergedInto != "" && s.Kind != sessions.Login && !found[0].Disabled {
		found, err = g.persons.Get(ctx, s.Tenant, found[0].MergedInto)
	}
	refusal := errBarred()
	if err == nil && len(found) == 1 && !found[0].Disabled {
		subject := idp.Subject{Issuer: s.Issuer, Subject: s.Subject}
		if s.Kind != sessions.Login || found[0].MergedInto == "" && slices.Contains(found[0].Subjects, subject) {
			return nil
		}
		refusal = lodge.E(lodge.CodeUnauthenticated, "Your accounts were changed while you signed in. Sign in again.")
	}
	return cmp.Or(g.sessions.Revoke(ctx, s.Tenant, s.ID, refusal.Safe), err, error(refusal))
}
