package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// rotateReference gives a booking another reference, for its owner: whoever opened
// it with the old one is out.
func (g *Gateway) rotateReference(w http.ResponseWriter, r *http.Request) error {
	conditions, err := ifMatch(r)
	if err != nil {
		return err
	}
	b, s, err := g.rotate(r, conditions...)
	if err != nil {
		return err
	}
	return g.answerBooking(w, r, b, s)
}

func (g *Gateway) rotate(r *http.Request, conditions ...booking.Condition) (booking.Booking, sessions.Session, error) {
	b, s, err := g.mine(r)
	if err != nil {
		return b, s, err
	}
	if s.Kind != sessions.Login {
		return b, s, errBookingOnly()
	}
	b, _, err = g.desk.Rotate(r.Context(), b.Tenant, b.ID, conditions...)
	if happened(err) {
		g.recordBy(r.Context(), s, audit.Rotate, "booking:"+b.ID, "another reference")
	}
	return b, s, err
}

func (g *Gateway) rotateForm(w http.ResponseWriter, r *http.Request) error {
	b, _, err := g.rotate(r)
	if err != nil {
		if problem, status, mendable := problemOf(err, "The reference could not be changed"); mendable {
			return g.renderBooking(w, r, status, problem, time.Time{})
		}
		return err
	}
	return seeOther(w, r, "/bookings/"+b.ID, "rotated")
}

// endOpened ends what was opened with a booking's references before a time.
func (g *Gateway) endOpened(ctx context.Context, b booking.Booking, before time.Time) error {
	opened, err := g.sessions.List(ctx, b.Tenant, sessions.Filter{Booking: b.ID, Kind: sessions.Booking})
	if err != nil {
		return err
	}
	for _, s := range opened {
		if s.CreatedAt.After(before) || !s.RevokedAt.IsZero() {
			continue
		}
		err := g.sessions.Revoke(ctx, b.Tenant, s.ID, "The booking has another reference now; open it with that one.")
		if err != nil && lodge.CodeOf(err) != lodge.CodeNotFound {
			return err
		}
	}
	return nil
}
