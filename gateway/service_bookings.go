package gateway

import (
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
)

// Services (a timetable, a course's page at the institution) book for people: with
// a code that has scopeBook, through the groups of its audience and no other, for
// members of those and for guests. Their own overrides count beside the person's;
// they see and cancel the bookings of those groups.

// booker is who books: the service whose code is in the Authorization header,
// where cookies then play no part, else the signed-in person.
func (g *Gateway) booker(r *http.Request) (sessions.Session, error) {
	return g.personOrService(r, scopeBook)
}

// personOrService is the service whose code is in the Authorization header, if the
// code has a scope; without a header the signed-in person.
func (g *Gateway) personOrService(r *http.Request, scope string) (sessions.Session, error) {
	if r.Header.Get("Authorization") == "" {
		return g.person(r)
	}
	s, err := g.presented(r, sessions.Service)
	if err != nil {
		return s, err
	}
	if !slices.Contains(s.Scopes, scope) {
		return s, lodge.E(lodge.CodeForbidden, "That service code does not have the scope "+scope+"; ask your laboratory's administrator for one that has.")
	}
	return s, g.services.allow(s.Tenant, string(s.ID))
}

// booksThrough reports whether a service books through a group.
func booksThrough(s sessions.Session, group string) bool {
	return s.Kind == sessions.Service && slices.Contains(s.Scopes, scopeBook) && slices.Contains(audienceOf(&s), "group:"+group)
}

// mayBookFor refuses who may not book for other people through a group.
func mayBookFor(s sessions.Session, req BookRequest) error {
	if s.Kind != sessions.Service {
		if req.OnBehalf == nil || teaches(s.Principal(), req.Group) {
			return nil
		}
		return lodge.E(lodge.CodeForbidden, "Only an instructor of the group may book for somebody else.")
	}
	if !booksThrough(s, req.Group) {
		return lodge.E(lodge.CodeForbidden, "This service code may not book through that group; it is outside of its audience.")
	}
	if req.OnBehalf == nil {
		return lodge.E(lodge.CodeRefused, "A service books for somebody else; say for whom with on_behalf.")
	}
	return nil
}

// served returns the booking a request names if it is one of a group that the
// service books through. Whether there is another one it does not learn.
func (g *Gateway) served(r *http.Request) (booking.Booking, sessions.Session, error) {
	s, err := g.booker(r)
	if err != nil {
		return booking.Booking{}, s, err
	}
	b, err := g.desk.Get(r.Context(), s.Tenant, chi.URLParam(r, "id"))
	if lodge.CodeOf(err) == lodge.CodeNotFound || (err == nil && !booksThrough(s, b.Group)) {
		return booking.Booking{}, s, errNotThere("booking")
	}
	return b, s, err
}
