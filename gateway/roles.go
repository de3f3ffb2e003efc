package gateway

import (
	"context"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
)

// bindings are the roles of a person now: what the rules of issuers gave at the
// last sign-ins, and what the catalogue gives.
func (g *Gateway) bindings(ctx context.Context, person idp.Person) ([]lodge.Binding, error) {
	cat, err := g.desk.Catalogue(ctx, person.Tenant)
	if err != nil {
		return nil, err
	}
	return g.bindingsIn(ctx, cat, person)
}

// bindingsIn is bindings under a catalogue.
func (g *Gateway) bindingsIn(ctx context.Context, cat *booking.Catalogue, person idp.Person) ([]lodge.Binding, error) {
	who, err := g.holder(ctx, cat, person)
	if err != nil {
		return nil, err
	}
	all := cat.Bindings(who)
	for _, b := range person.Bindings {
		all = append(all, cat.Reach(b)...)
	}
	return idp.SortBindings(all), nil
}

// holder is a person as role bindings know them. What issuers said is read only
// where a binding is about it.
func (g *Gateway) holder(ctx context.Context, cat *booking.Catalogue, person idp.Person) (booking.Holder, error) {
	who := booking.Holder{Groups: person.Groups}
	asked := false
	for _, s := range person.Subjects {
		who.Subjects = append(who.Subjects, s.Issuer+":"+s.Subject)
		asked = asked || len(cat.ClaimsOf(s.Issuer)) > 0
	}
	if !asked {
		return who, nil
	}
	signIns, err := g.persons.SignIns(ctx, person.Tenant, person.ID)
	for _, one := range signIns {
		for _, fact := range one.Facts() {
			who.Claims = append(who.Claims, booking.ClaimRule{Issuer: one.Issuer, Claim: fact.Claim, Value: fact.Value})
		}
	}
	return who, err
}

// noteClaims writes down, with a sign-in, what the issuer says of claims that role
// bindings are about.
func (g *Gateway) noteClaims(ctx context.Context, tenant lodge.Tenant, who idp.Identity) (idp.Identity, error) {
	cat, err := g.desk.Catalogue(ctx, tenant)
	if err != nil {
		return who, err
	}
	return who.Noting(cat.ClaimsOf(who.Issuer)), nil
}

// people tells the desk whose overrides count.
type people struct{ g *Gateway }

func (p people) Subjects(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID) ([]string, error) {
	found, err := p.g.persons.Get(ctx, tenant, id)
	var out []string
	for _, person := range found {
		for _, s := range person.Subjects {
			out = append(out, s.Issuer+":"+s.Subject)
		}
	}
	return out, err
}
