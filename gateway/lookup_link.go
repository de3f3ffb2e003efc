package gateway

import (
	"errors"
	"net/http"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// linkPath is where a mailed link leads: to a page that asks to go on, since what
// looks into mail before its reader does follows links, and this one works once.
const linkPath = "/lookup/link"

// otherWays adds to the answer of a lookup that was over a limit what else opens a
// booking.
func (g *Gateway) otherWays(err error) error {
	e, ok := errors.AsType[*lodge.Error](err)
	if !ok || e.Code != lodge.CodeTooMany {
		return err
	}
	with := *e
	with.Details = map[string]any{"sign_in": g.cfg.PublicURL + "/login"}
	if g.mail != nil {
		with.Safe = web.Text("There were too many tries; sign in, have a link mailed to you, or wait a while.")
		with.Details["link"] = g.cfg.PublicURL + "/api/v1/bookings/lookup/link"
	}
	return &with
}

// requestLink has a link mailed to the owner of a booking. The answer is one
// whether there is one or not.
func (g *Gateway) requestLink(w http.ResponseWriter, r *http.Request) error {
	var req LookupRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if err := g.desk.RequestLink(r.Context(), tenantOf(r.Context()), req.Surname, req.Reference, addressOf(r.Context())); err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, LinkRequested{Minutes: int(booking.LinkLife / time.Minute)})
}

// askLinkForm is requestLink for the page.
func (g *Gateway) askLinkForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	form := web.LookupForm{Surname: r.PostFormValue("surname"), Reference: r.PostFormValue("reference")}
	if err := g.desk.RequestLink(r.Context(), tenantOf(r.Context()), form.Surname, form.Reference, addressOf(r.Context())); err != nil {
		problem, status, mendable := problemOf(err, "No link was asked for")
		if !mendable {
			return err
		}
		explain(err).header(w.Header())
		return g.renderLookup(w, r, status, form, problem)
	}
	view := web.LookupLink{Layout: g.layout(r, "Look into your mail", web.PageLookup, nil)}
	return g.pages.Render(w, http.StatusOK, web.PageLookupLink, view)
}

// linkPage is where a mailed link leads.
func (g *Gateway) linkPage(w http.ResponseWriter, r *http.Request) error {
	view := web.LookupLink{Layout: g.layout(r, "Open a booking", web.PageLookup, nil), Key: r.URL.Query().Get("key")}
	if view.Key == "" {
		return seeOther(w, r, "/lookup", "")
	}
	return g.pages.Render(w, http.StatusOK, web.PageLookupLink, view)
}

// openLinkForm opens the booking of a mailed link, as a lookup does.
func (g *Gateway) openLinkForm(w http.ResponseWriter, r *http.Request) (err error) {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	var s sessions.Session
	ctx := r.Context()
	defer func() {
		switch {
		case err == nil:
			g.recordBy(ctx, s, audit.Lookup, "booking:"+s.Booking, "opened by a mailed link")
		case decided(err):
			g.record(ctx, tenantOf(ctx), "nobody", audit.LookupRefused, "link", reasonOf(err))
		}
	}()
	b, err := g.desk.OpenLink(ctx, tenantOf(ctx), r.PostFormValue("key"))
	if err != nil {
		return err
	}
	if s, err = g.openBooking(w, r, b); err != nil {
		return err
	}
	return seeOther(w, r, "/bookings/"+b.ID, "")
}
