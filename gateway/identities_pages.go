package gateway

import (
	"net/http"

	"github.com/lodge-gateway/lodge/web"
)

func (g *Gateway) identitiesPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderIdentities(w, r, http.StatusOK, web.LookupForm{}, nil)
}

func (g *Gateway) renderIdentities(w http.ResponseWriter, r *http.Request, status int, typed web.LookupForm, problem *web.Problem) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	person, err := g.personOf(r, s)
	if err != nil {
		return err
	}
	view := web.Identities{Layout: g.layout(r, "Ways to sign in", web.PageSessions, &s), Issuers: g.issuers("/"), Claim: typed}
	view.Problem = problem
	for _, one := range g.identitiesOf(person, s) {
		view.Identities = append(view.Identities, web.Identity{ID: one.ID, Name: one.Name, Subject: one.Subject, Current: one.Current})
	}
	return g.pages.Render(w, status, web.PageIdentities, view)
}

// linkForm sends the browser to an issuer, to come back with an account more.
func (g *Gateway) linkForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	location, err := g.beginLink(r, LinkRequest{Issuer: r.PostFormValue("issuer"), LoginHint: r.PostFormValue("login_hint")})
	if err != nil {
		return err
	}
	http.Redirect(w, r, location, http.StatusSeeOther)
	return nil
}

func (g *Gateway) unlinkForm(w http.ResponseWriter, r *http.Request) error {
	current, err := g.unlink(r)
	if problem, status, mendable := problemOf(err, "That account stays"); err != nil && mendable {
		return g.renderIdentities(w, r, status, web.LookupForm{}, problem)
	}
	switch {
	case err != nil:
		return err
	case current:
		return seeOther(w, r, "/login", "unlinked")
	}
	return seeOther(w, r, "/identities", "unlinked")
}

// claimForm makes a guest's booking the reader's.
func (g *Gateway) claimForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	typed := web.LookupForm{Surname: r.PostFormValue("surname"), Reference: r.PostFormValue("reference")}
	b, err := g.claimGuest(r.Context(), s, typed.Surname, typed.Reference)
	if problem, status, mendable := problemOf(err, "That booking was not found"); err != nil && mendable {
		return g.renderIdentities(w, r, status, typed, problem)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/bookings/"+b.ID, "claimed")
}
