package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// sharePath is where a link leads that makes its holder a partner.
const sharePath = "/partner"

// ShareView is a new way into a booking, shown this once.
type ShareView struct {
	Code string `json:"code"`
	Link string `json:"link"`
}

// PartnerRequest is the body of POST …/partners: a member of the booking's group,
// by id or by their full name.
type PartnerRequest struct {
	Person string `json:"person"`
}

// PartnerJoinRequest is the body of POST /api/v1/bookings/join.
type PartnerJoinRequest struct {
	Code string `json:"code"`
}

// owned returns the booking a request names when its owner is signed in: who got
// in by a reference does not let others in.
func (g *Gateway) owned(r *http.Request) (booking.Booking, sessions.Session, error) {
	b, s, err := g.mine(r)
	if err == nil && s.Kind != sessions.Login {
		err = errLookupMay()
	}
	return b, s, err
}

// getControl tells who shares a booking.
func (g *Gateway) getControl(w http.ResponseWriter, r *http.Request) error {
	b, s, _, err := g.ours(r)
	if err != nil {
		return err
	}
	return g.answerControl(w, r, b, s)
}

func (g *Gateway) answerControl(w http.ResponseWriter, r *http.Request, b booking.Booking, s sessions.Session) error {
	view, err := g.controlOf(r.Context(), b, s)
	if err != nil {
		return err
	}
	if view, err = g.whoIsHere(r.Context(), b, view); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// postControl takes, gives or asks for control.
func (g *Gateway) postControl(w http.ResponseWriter, r *http.Request) error {
	b, s, _, err := g.ours(r)
	if err != nil {
		return err
	}
	return g.answerSteer(w, r, b, s)
}

func (g *Gateway) answerSteer(w http.ResponseWriter, r *http.Request, b booking.Booking, s sessions.Session) error {
	var req ControlRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	view, err := g.steer(r.Context(), b, s, req)
	if err != nil {
		return err
	}
	if view, err = g.whoIsHere(r.Context(), b, view); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// bookingOfCode returns the booking of an experiment code that is good.
func (g *Gateway) bookingOfCode(r *http.Request) (booking.Booking, sessions.Session, error) {
	s, err := g.presented(r, sessions.Experiment)
	if err != nil {
		return booking.Booking{}, s, err
	}
	if isTest(s) {
		return booking.Booking{}, s, lodge.E(lodge.CodeNotFound, "A test belongs to no booking and is shared with nobody.")
	}
	b, err := g.desk.Get(r.Context(), s.Tenant, s.Booking)
	return b, s, err
}

// experimentControl is getControl for an experiment's page.
func (g *Gateway) experimentControl(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.bookingOfCode(r)
	if err != nil {
		return err
	}
	return g.answerControl(w, r, b, s)
}

// steerExperiment is postControl for an experiment's page.
func (g *Gateway) steerExperiment(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.bookingOfCode(r)
	if err != nil {
		return err
	}
	return g.answerSteer(w, r, b, s)
}

// postShare makes a link that lets others into a booking; the one before lets
// nobody in any more.
func (g *Gateway) postShare(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.owned(r)
	if err != nil {
		return err
	}
	view, err := g.newShare(r.Context(), b, s)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, view)
}

func (g *Gateway) newShare(ctx context.Context, b booking.Booking, s sessions.Session) (ShareView, error) {
	code, err := g.desk.NewShareCode(ctx, b.Tenant, b.ID)
	if err != nil {
		return ShareView{}, err
	}
	g.recordBy(ctx, s, audit.Share, "booking:"+b.ID, "made a link")
	return ShareView{Code: code, Link: g.cfg.PublicURL + sharePath + "?key=" + url.QueryEscape(code)}, nil
}

// deleteShare ends the link; who came by it stays.
func (g *Gateway) deleteShare(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.owned(r)
	if err != nil {
		return err
	}
	if err := g.endShare(r.Context(), b, s); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) endShare(ctx context.Context, b booking.Booking, s sessions.Session) error {
	if err := g.desk.EndShareCode(ctx, b.Tenant, b.ID); err != nil {
		return err
	}
	g.recordBy(ctx, s, audit.Share, "booking:"+b.ID, "ended the link")
	return nil
}

// postPartner shares a booking with a member of its group.
func (g *Gateway) postPartner(w http.ResponseWriter, r *http.Request) error {
	b, s, err := g.owned(r)
	if err != nil {
		return err
	}
	var req PartnerRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if err := g.addPartner(r.Context(), b, s, req.Person); err != nil {
		return err
	}
	view, err := g.controlOf(r.Context(), b, s)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, view)
}

func (g *Gateway) addPartner(ctx context.Context, b booking.Booking, s sessions.Session, named string) error {
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return err // names are not to be tried out
	}
	people, err := g.persons.InGroup(ctx, b.Tenant, b.Group)
	if err != nil {
		return err
	}
	named = strings.Join(strings.Fields(named), " ")
	var found []booking.Member
	for _, p := range people {
		if named != "" && (string(p.ID) == named || strings.EqualFold(p.Name, named)) {
			found = append(found, booking.Member{Person: p.ID, Name: p.Name})
		}
	}
	if len(found) != 1 {
		return lodge.E(lodge.CodeNotFound, "Nobody of the booking's group is called that, or several are; send your partner a link instead.")
	}
	if err := g.desk.AddPartner(ctx, b.Tenant, b.ID, found[0]); err != nil {
		return err
	}
	g.recordBy(ctx, s, audit.Share, "booking:"+b.ID, "with person:"+string(found[0].Person))
	return nil
}

// deletePartner ends the sharing with one person: by the owner, or by themselves.
func (g *Gateway) deletePartner(w http.ResponseWriter, r *http.Request) error {
	if err := g.removePartner(r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) removePartner(r *http.Request) error {
	b, s, partner, err := g.ours(r)
	if err != nil {
		return err
	}
	person := lodge.PersonID(chi.URLParam(r, "person"))
	switch {
	case partner && person != s.Person:
		return lodge.E(lodge.CodeForbidden, "Only the owner of the booking may remove others.")
	case s.Kind != sessions.Login:
		return errLookupMay()
	}
	if err := g.desk.RemovePartner(r.Context(), b.Tenant, b.ID, person); err != nil {
		return err
	}
	g.recordBy(r.Context(), s, audit.Share, "booking:"+b.ID, "no more with person:"+string(person))
	return nil
}

// postPartnerJoin makes the caller a partner in the booking of a code.
func (g *Gateway) postPartnerJoin(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req PartnerJoinRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	b, err := g.joinShare(r.Context(), s, req.Code)
	if err != nil {
		return err
	}
	return g.answerBooking(w, r, b, s)
}

func (g *Gateway) joinShare(ctx context.Context, s sessions.Session, code string) (booking.Booking, error) {
	b, err := g.desk.JoinShare(ctx, s.Tenant, code, booking.Member{Person: s.Person, Name: s.Name})
	if err != nil {
		return b, err
	}
	g.recordBy(ctx, s, audit.Share, "booking:"+b.ID, "joined by a link")
	return b, nil
}
