package gateway

import (
	"net/http"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// lookup opens a booking by surname and reference: a booking session in a second
// cookie. A login the browser may hold stays as it is.
func (g *Gateway) lookup(w http.ResponseWriter, r *http.Request) error {
	var req LookupRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	view, err := g.lookUp(w, r, req.Surname, req.Reference)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"booking": view})
}

func (g *Gateway) lookUp(w http.ResponseWriter, r *http.Request, surname, reference string) (_ BookingView, err error) {
	ctx, tenant := r.Context(), tenantOf(r.Context())
	var s sessions.Session
	defer func() { g.recordLookup(ctx, s, err) }()
	b, err := g.desk.Lookup(ctx, tenant, surname, reference, addressOf(ctx))
	if err != nil {
		return BookingView{}, g.otherWays(err)
	}
	if s, err = g.openBooking(w, r, b); err != nil {
		return BookingView{}, err
	}
	return g.bookingView(ctx, b, false)
}

// openBooking gives the browser a booking session, in a cookie of its own.
func (g *Gateway) openBooking(w http.ResponseWriter, r *http.Request, b booking.Booking) (s sessions.Session, err error) {
	ctx, tenant := r.Context(), tenantOf(r.Context())
	if err := g.openings.allow(tenant, b.ID); err != nil {
		return s, err
	}
	// The cookie holds one booking: what it held before is over.
	if c, err := g.holds(r); err != nil {
		return s, err
	} else if c.booking != nil && c.booking.Booking != b.ID {
		const reason = "Another booking was opened in this browser."
		if err := g.sessions.Revoke(ctx, tenant, c.booking.ID, reason); err != nil {
			return s, err
		}
		g.recordBy(ctx, *c.booking, audit.SessionEnd, "session:"+string(c.booking.ID), reason)
	}
	keep := g.desk.MessagesUntil(b)
	code, s, err := g.sessions.Create(ctx, sessions.New{
		Tenant: tenant, Kind: sessions.Booking, Person: b.Owner, Name: b.OwnerName, Booking: b.ID, Experiment: b.Experiment,
		Device: device(r), Address: addressOf(ctx), ExpiresAt: keep, MessagesUntil: keep,
	})
	if err == nil {
		err = g.barred(ctx, s)
	}
	if err != nil {
		return s, err
	}
	http.SetCookie(w, g.newBookingCookie(code, int(keep.Sub(g.clock.Now()).Seconds())))
	return s, nil
}
