package gateway

import (
	"context"
	"net/http"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
)

// scopeExtend lets an experiment code extend its booking. A code that a lookup
// got under a policy which does not let lookups extend lacks it.
const scopeExtend = "booking:extend"

// errLookupMay is what somebody is told who opened a booking by its reference and
// wants more than its policy allows.
func errLookupMay() error {
	e := lodge.E(lodge.CodeForbidden, "A reference is not enough for this with bookings of this kind; sign in to do it.")
	e.Details = map[string]any{"rule": "lookup"}
	return e
}

// mineTo is mine for an action that the booking's policy may keep from those who
// opened it by surname and reference.
func (g *Gateway) mineTo(r *http.Request, action string) (booking.Booking, sessions.Session, error) {
	b, s, err := g.mine(r)
	if err != nil {
		return b, s, err
	}
	return b, s, g.mayTo(r.Context(), b, s, action)
}

// mayTo refuses a session that may act on a booking, but not do this with it.
func (g *Gateway) mayTo(ctx context.Context, b booking.Booking, s sessions.Session, action string) error {
	allowed, err := g.allowed(ctx, b, s, action)
	if err == nil && !allowed {
		err = errLookupMay()
	}
	return err
}

// allowed reports whether a session that may act on a booking may do this with it.
func (g *Gateway) allowed(ctx context.Context, b booking.Booking, s sessions.Session, action string) (bool, error) {
	if s.Kind == sessions.Login {
		return true, nil
	}
	cat, err := g.desk.Catalogue(ctx, b.Tenant)
	if err != nil {
		return false, err
	}
	return slices.Contains(cat.Policies[b.Policy].Lookups(), action), nil
}

// bookingViewFor is bookingView for who reads it: the reference for its owner's
// login only, and no extension for those who may not ask for one.
func (g *Gateway) bookingViewFor(ctx context.Context, b booking.Booking, s sessions.Session) (BookingView, error) {
	view, err := g.bookingView(ctx, b, s.Kind == sessions.Login && s.Person == b.Owner)
	if err != nil {
		return view, err
	}
	if s.Kind == sessions.Service {
		view.May, view.Extend = []string{booking.LookupSee, booking.LookupCancel}, []int{}
		return view, nil
	}
	if isPartner(b, s) && !teaches(s.Principal(), b.Group) {
		view.Shared, view.Surname, view.Extend = true, "", []int{}
		view.May = []string{booking.LookupSee, booking.LookupLaunch}
		return view, nil
	}
	if s.Kind == sessions.Login {
		view.May = []string{booking.LookupSee, booking.LookupLaunch, booking.LookupExtend, booking.LookupCancel}
	}
	if !slices.Contains(view.May, booking.LookupExtend) {
		view.Extend = []int{}
	}
	return view, nil
}
