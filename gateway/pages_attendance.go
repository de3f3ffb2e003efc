package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

func (g *Gateway) attendancePage(w http.ResponseWriter, r *http.Request) error {
	return g.renderAttendance(w, r, http.StatusOK, "", nil)
}

// renderAttendance shows a person their own record, and nobody else's, with the code
// that was typed where it was not good.
func (g *Gateway) renderAttendance(w http.ResponseWriter, r *http.Request, status int, typed string, problem *web.Problem) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	view := web.Attendance{Layout: g.layout(r, "My attendance", web.PageAttendance, &s), Code: typed}
	view.Here = "/attendance"
	view.Problem = problem
	if s.Kind == sessions.Login {
		if err := g.addRecord(r, s, &view); err != nil {
			return err
		}
		ids, err := g.register.CouldType(ctx, s.Tenant, s.Person, s.Groups)
		if err != nil {
			return err
		}
		view.Coded = slices.ContainsFunc(ids, func(id string) bool {
			return !slices.ContainsFunc(view.Open, func(one web.Register) bool {
				return one.ID == id && (one.Mine.State == string(attendance.Present) || one.Mine.State == string(attendance.Late))
			})
		})
	}
	return g.pages.Render(w, status, web.PageAttendance, view)
}

// addRecord adds somebody's registers to their page.
func (g *Gateway) addRecord(r *http.Request, s sessions.Session, view *web.Attendance) error {
	ctx := r.Context()
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return err
	}
	registers, err := g.registersOf(ctx, s)
	if err != nil {
		return err
	}
	for _, register := range registers {
		if !standsIn(s, register) {
			continue
		}
		one := g.webRegister(register, s.Person)
		one.Group = groupTitle(cat, register.Group)
		if register.Open {
			view.Open = append(view.Open, one)
		} else {
			view.Past = append(view.Past, one)
		}
	}
	_, coming, err := g.plannedOf(ctx, s)
	if err != nil {
		return err
	}
	for _, p := range coming {
		one := webPlanned(p)
		one.Group = groupTitle(cat, p.Group)
		view.Coming = append(view.Coming, one)
	}
	own, err := g.ownSummary(ctx, s)
	view.Total = webTotals([]attendance.Summary{own})[0]
	return err
}

func (g *Gateway) confirmForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	if _, err := g.confirm(r.Context(), s, chi.URLParam(r, "id")); err != nil {
		return g.notMarked(w, r, err, "")
	}
	return seeOther(w, r, "/attendance", "confirmed")
}

// notMarked shows a person's record again, with why they are not marked.
func (g *Gateway) notMarked(w http.ResponseWriter, r *http.Request, err error, typed string) error {
	problem, status, mendable := problemOf(err, web.Text("You are not marked yet"))
	if !mendable || lodge.CodeOf(err) == lodge.CodeNotFound {
		return err
	}
	return g.renderAttendance(w, r, status, typed, problem)
}

// codeForm takes the code that the screen in a room shows.
func (g *Gateway) codeForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	code := r.PostFormValue("code")
	if _, err := g.typedAnywhere(r.Context(), s, code); err != nil {
		return g.notMarked(w, r, err, code)
	}
	return seeOther(w, r, "/attendance", "here")
}

func (g *Gateway) apologyForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	if err := g.apologise(r.Context(), s, chi.URLParam(r, "id"), strings.TrimSpace(r.PostFormValue("words"))); err != nil {
		if problem, status, mendable := problemOf(err, web.Text("Your apology was not taken")); mendable {
			return g.renderAttendance(w, r, status, "", problem)
		}
		return err
	}
	return seeOther(w, r, "/attendance", "sorry")
}
