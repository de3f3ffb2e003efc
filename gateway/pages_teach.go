package gateway

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// teachForms is what was typed into the forms of /teach.
type teachForms struct {
	notice  web.NoticeForm
	problem *web.Problem
}

func (g *Gateway) teachPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderTeach(w, r, http.StatusOK, teachForms{})
}

// renderTeach shows all an instructor works with.
func (g *Gateway) renderTeach(w http.ResponseWriter, r *http.Request, status int, forms teachForms) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if p := s.Principal(); !p.Has(lodge.RoleInstructor) {
		return lodge.E(lodge.CodeForbidden, "Only an instructor sees this; ask your laboratory if that should be you.")
	}
	ctx := r.Context()
	if forms.notice.Key == "" {
		forms.notice.Key = rand.Text()
	}
	view := web.Teach{
		Layout: g.layout(r, "Teach", web.PageTeach, &s), Notice: forms.notice,
	}
	view.Problem = forms.problem
	if view.Audience, err = g.choice(r, view.Say, s, forms.notice.To); err != nil {
		return err
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return err
	}
	view.Groups = keptGroups(s, cat)
	if err := g.teachMessages(ctx, s, cat, &view); err != nil {
		return err
	}
	if view.Surveys, err = g.webOpen(ctx, view.Say, s, cat); err != nil {
		return err
	}
	if view.Registers, err = g.openRegisters(ctx, s, cat); err != nil {
		return err
	}
	if view.Bookings, err = g.underWay(ctx, s, cat); err != nil {
		return err
	}
	if view.Present, err = g.webPresent(ctx, s, cat); err != nil {
		return err
	}
	return g.pages.Render(w, status, web.PageTeach, view)
}

// webOpen are the open surveys that somebody conducts.
func (g *Gateway) webOpen(ctx context.Context, say *web.Printer, s sessions.Session, cat *booking.Catalogue) ([]web.Survey, error) {
	all, err := g.surveysOf(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []web.Survey
	for _, one := range all {
		if !one.Open() || !g.conducts(s.Principal(), one) {
			continue
		}
		names, err := g.namesOf(ctx, s, []string{one.To})
		if err != nil {
			return nil, err
		}
		row := webSurvey(surveyView(one, nil, true))
		row.To = audienceInWords(cat, say, names, s, one.To)
		out = append(out, row)
	}
	return out, nil
}

// underWay are the bookings of an instructor's groups that go on now.
func (g *Gateway) underWay(ctx context.Context, s sessions.Session, cat *booking.Catalogue) ([]web.Booking, error) {
	now := g.clock.Now()
	var out []web.Booking
	for _, experiment := range sortedKeys(cat.Experiments) {
		current, err := g.desk.ListByExperiment(ctx, s.Tenant, experiment, now, now.Add(time.Microsecond))
		if err != nil {
			return nil, err
		}
		for _, b := range current {
			if b.State != booking.Booked || !teaches(s.Principal(), b.Group) {
				continue
			}
			view, err := g.bookingView(ctx, b, false)
			if err != nil {
				return nil, err
			}
			one := webBooking(view)
			one.Owner = b.OwnerName
			out = append(out, one)
		}
	}
	return out, nil
}

// refused shows /teach again with what was typed, or passes the error on.
func (g *Gateway) refused(w http.ResponseWriter, r *http.Request, err error, title string, forms teachForms) error {
	problem, status, mendable := problemOf(err, title)
	if !mendable {
		return err
	}
	forms.problem = problem
	return g.renderTeach(w, r, status, forms)
}

func (g *Gateway) teachCancelForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	b, err := g.taught(r, s)
	if err != nil {
		return err
	}
	if _, err := g.cancel(r.Context(), b, s, strings.TrimSpace(r.PostFormValue("reason"))); err != nil {
		return g.refused(w, r, err, "The booking was not cancelled", teachForms{})
	}
	return seeOther(w, r, "/teach", "cancelled")
}
