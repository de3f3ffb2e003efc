package gateway

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// webControl is how a booking is shared, for a page.
func (g *Gateway) webControl(r *http.Request, b booking.Booking, s sessions.Session) (web.Control, error) {
	view, err := g.controlOf(r.Context(), b, s)
	if err != nil {
		return web.Control{}, err
	}
	c := web.Control{Booking: b.ID, Owner: view.You == string(b.Owner), Mine: view.You == view.Control, Open: b.State == booking.Booked}
	for _, p := range view.People {
		c.People = append(c.People, web.Partner{
			ID: p.Person, Name: p.Name, Owner: p.Owner, Asks: p.Asks, You: p.Person == view.You, Controls: p.Person == view.Control,
		})
	}
	return c, nil
}

// partnersPage is where a booking is shared, and where a partner's own page of it
// is.
func (g *Gateway) partnersPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderPartners(w, r, http.StatusOK, "", nil)
}

func (g *Gateway) renderPartners(w http.ResponseWriter, r *http.Request, status int, link string, problem *web.Problem) error {
	b, s, partner, err := g.ours(r)
	if err != nil {
		return err
	}
	about, err := g.bookingView(r.Context(), b, false)
	if err != nil {
		return err
	}
	view := web.Partners{Layout: g.layout(r, "", web.PageBooking, &s), Booking: webBooking(about), Link: link, Partner: partner, May: !partner && s.Kind == sessions.Login}
	view.Title, view.Problem = about.Title, problem
	if view.Control, err = g.webControl(r, b, s); err != nil {
		return err
	}
	return g.pages.Render(w, status, web.PagePartners, view)
}

// partnersForm makes or ends the link, or adds somebody by name.
func (g *Gateway) partnersForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	b, s, err := g.owned(r)
	if err != nil {
		return err
	}
	done := ""
	switch r.PostFormValue("action") {
	case "link":
		var share ShareView
		if share, err = g.newShare(r.Context(), b, s); err == nil {
			return g.renderPartners(w, r, http.StatusOK, share.Link, nil)
		}
	case "unlink":
		err = g.endShare(r.Context(), b, s)
	default:
		err, done = g.addPartner(r.Context(), b, s, r.PostFormValue("person")), "shared"
	}
	if err != nil {
		if problem, status, mendable := problemOf(err, "That could not be shared"); mendable {
			return g.renderPartners(w, r, status, "", problem)
		}
		return err
	}
	return seeOther(w, r, "/bookings/"+b.ID+"/partners", done)
}

// removePartnerForm ends the sharing with one person.
func (g *Gateway) removePartnerForm(w http.ResponseWriter, r *http.Request) error {
	_, s, partner, err := g.ours(r)
	if err != nil {
		return err
	}
	if err := g.removePartner(r); err != nil {
		return err
	}
	if partner && chi.URLParam(r, "person") == string(s.Person) {
		return seeOther(w, r, "/", "unshared")
	}
	return seeOther(w, r, "/bookings/"+chi.URLParam(r, "id")+"/partners", "")
}

// controlForm takes, gives or asks for control.
func (g *Gateway) controlForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	b, s, _, err := g.ours(r)
	if err != nil {
		return err
	}
	if _, err := g.steer(r.Context(), b, s, ControlRequest{Action: r.PostFormValue("action"), To: r.PostFormValue("to")}); err != nil {
		if problem, status, mendable := problemOf(err, "Control did not change hands"); mendable {
			return g.renderPartners(w, r, status, "", problem)
		}
		return err
	}
	return seeOther(w, r, "/bookings/"+b.ID+"/partners", "")
}

// partnerJoinPage is where a link leads: to a page that asks, since what looks into mail
// before its reader does follows links.
func (g *Gateway) partnerJoinPage(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	key := r.URL.Query().Get("key")
	b, err := g.desk.ShareOf(r.Context(), s.Tenant, key)
	if err != nil {
		return err
	}
	about, err := g.bookingView(r.Context(), b, false)
	if err != nil {
		return err
	}
	view := web.PartnerJoin{Layout: g.layout(r, "Share a booking", web.PageBooking, &s), Booking: webBooking(about), By: b.OwnerName, Key: key}
	return g.pages.Render(w, http.StatusOK, web.PagePartnerJoin, view)
}

func (g *Gateway) partnerJoinForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	b, err := g.joinShare(r.Context(), s, r.PostFormValue("key"))
	if err != nil {
		return err
	}
	return seeOther(w, r, "/bookings/"+b.ID+"/partners", "partner")
}
