package gateway

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/sessions"
)

// ExplanationView answers GET /api/v1/admin/persons/{id}/explain: why a person
// has each group and each role.
type ExplanationView struct {
	Person   string         `json:"person"`
	Name     string         `json:"name"`
	Disabled bool           `json:"disabled,omitempty"`
	SignIns  []SignInView   `json:"sign_ins"`
	Groups   []GroupBecause `json:"groups"`
	Roles    []RoleBecause  `json:"roles"`
}

// SignInView is one account of a person and when it was last signed in with.
type SignInView struct {
	Issuer  string    `json:"issuer"`
	Subject string    `json:"subject"`
	At      time.Time `json:"at,omitzero"`
}

// GroupBecause is a group and everything that gives it.
type GroupBecause struct {
	Group   string        `json:"group"`
	Because []BecauseView `json:"because"`
}

// RoleBecause is a role within a scope and everything that gives it.
type RoleBecause struct {
	RoleView
	Because []BecauseView `json:"because"`
}

// BecauseView is one reason: a claim of the last sign-in at an issuer, by a rule
// of its configuration (from 1; 0 for its groups claim), or a role binding of
// the catalogue, held by a group, by a subject or by a claim.
type BecauseView struct {
	Issuer    string `json:"issuer,omitempty"`
	Rule      *int   `json:"rule,omitempty"`
	Claim     string `json:"claim,omitempty"`
	Value     string `json:"value,omitempty"`
	Catalogue string `json:"catalogue,omitempty"` // name of the binding
	Group     string `json:"group,omitempty"`
	Subject   string `json:"subject,omitempty"`
}

func (g *Gateway) explainPerson(w http.ResponseWriter, r *http.Request) error {
	s, err := g.holding(r, lodge.RoleAdministrator, lodge.ScopeTenant)
	if err != nil {
		return err
	}
	view, err := g.explanation(r.Context(), s, lodge.PersonID(chi.URLParam(r, "id")))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// explanation says why a person has each group and each role.
func (g *Gateway) explanation(ctx context.Context, s sessions.Session, id lodge.PersonID) (ExplanationView, error) {
	found, err := g.persons.Get(ctx, s.Tenant, id)
	if err != nil {
		return ExplanationView{}, err
	}
	if len(found) == 0 {
		return ExplanationView{}, errNotThere("person")
	}
	g.looked(ctx, s, id, "sign-ins, groups and roles")
	signIns, err := g.persons.SignIns(ctx, s.Tenant, id)
	if err != nil {
		return ExplanationView{}, err
	}
	catalogue, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return ExplanationView{}, err
	}
	because := reasons{groups: map[string][]BecauseView{}, roles: map[lodge.Binding][]BecauseView{}}
	view := ExplanationView{Person: string(id), Name: found[0].Name, Disabled: found[0].Disabled, SignIns: []SignInView{}}
	for _, one := range signIns {
		view.SignIns = append(view.SignIns, SignInView{Issuer: one.Issuer, Subject: one.Subject.Subject, At: one.At})
		because.signIn(one)
	}
	who, err := g.holder(ctx, catalogue, found[0])
	if err != nil {
		return ExplanationView{}, err
	}
	for _, name := range sortedKeys(catalogue.Roles) {
		because.catalogue(catalogue, name, who)
	}
	view.Groups, view.Roles = because.sorted()
	return view, nil
}

// reasons gathers what gives a person each group and role.
type reasons struct {
	groups map[string][]BecauseView
	roles  map[lodge.Binding][]BecauseView
}

func (all reasons) signIn(one idp.SignIn) {
	for _, r := range one.Reasons {
		if r.Fact() {
			continue // gives nothing by itself
		}
		view := BecauseView{Issuer: one.Issuer, Rule: &r.Rule, Claim: r.Claim, Value: r.Value}
		if r.Binding != nil {
			all.roles[*r.Binding] = append(all.roles[*r.Binding], view)
		} else {
			all.groups[r.Group] = append(all.groups[r.Group], view)
		}
	}
	// Signed in before reasons were written down: at least whose groups they are.
	for _, group := range one.Groups {
		if len(one.Reasons) == 0 {
			all.groups[group] = append(all.groups[group], BecauseView{Issuer: one.Issuer})
		}
	}
}

// catalogue adds what a binding of the catalogue gives.
func (all reasons) catalogue(cat *booking.Catalogue, name string, who booking.Holder) {
	role := cat.Roles[name]
	subjects, groups, claims := role.HeldBy(who)
	var because []BecauseView
	for _, group := range groups {
		because = append(because, BecauseView{Catalogue: name, Group: group})
	}
	for _, subject := range subjects {
		because = append(because, BecauseView{Catalogue: name, Subject: subject})
	}
	for _, c := range claims {
		because = append(because, BecauseView{Catalogue: name, Issuer: c.Issuer, Claim: c.Claim, Value: c.Value})
	}
	for _, b := range cat.Reach(lodge.Binding{Role: lodge.Role(role.Role), Scope: lodge.Scope(role.Scope)}) {
		all.roles[b] = append(all.roles[b], because...)
		if len(all.roles[b]) == 0 {
			delete(all.roles, b)
		}
	}
}

func (all reasons) sorted() ([]GroupBecause, []RoleBecause) {
	groups, roles := []GroupBecause{}, []RoleBecause{}
	for _, group := range slices.Sorted(maps.Keys(all.groups)) {
		groups = append(groups, GroupBecause{group, all.groups[group]})
	}
	for _, b := range slices.SortedFunc(maps.Keys(all.roles), func(a, b lodge.Binding) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Scope, b.Scope))
	}) {
		roles = append(roles, RoleBecause{RoleView{Role: string(b.Role), Scope: string(b.Scope)}, all.roles[b]})
	}
	return groups, roles
}
