package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging/handin"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// readHere is for how many people's work the texts are on the page that grades it; of
// more they are to be opened one by one.
const readHere = 200

func (g *Gateway) webHandIn(one handin.HandIn, mine *handin.Work) web.HandIn {
	out := web.HandIn{
		ID: one.ID, To: one.To, Title: one.Title, Instructions: one.Instructions, Opens: one.Opens, After: one.After, Deadline: one.Deadline, Late: string(one.Late), PerDay: one.PerDay,
		Points: one.Points, Files: one.Limits.Files, FileMiB: mebibytes(one.Limits.FileSize), TotalMiB: mebibytes(one.Limits.Total),
		Types: strings.Join(one.Limits.Types, ", "), Standing: string(one.At(g.clock.Now())), Released: !one.ReleasedAt.IsZero(), HandedIn: one.HandedIn,
	}
	if mine != nil {
		work := webWork(workView(one, *mine))
		out.Mine = &work
	}
	return out
}

// handInTo is whom a hand-in is for, in words.
func (g *Gateway) handInTo(ctx context.Context, say *web.Printer, s sessions.Session, one handin.HandIn) (string, error) {
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return "", err
	}
	names, err := g.namesOf(ctx, s, []string{one.To})
	return audienceInWords(cat, say, names, s, one.To), err
}

func mebibytes(n int64) string {
	return strconv.FormatFloat(float64(n*10/(1<<20))/10, 'f', -1, 64)
}

func webWork(v WorkView) web.Work {
	w := web.Work{Person: v.Person, Name: v.Name, Version: v.Version, At: v.At, DaysLate: v.DaysLate, SHA256: v.SHA256, Erased: v.Erased}
	if v.Text != nil {
		w.Files = append(w.Files, web.WorkFile{ID: v.Text.ID, Name: v.Text.Name, URL: v.Text.URL, Size: v.Text.Size, Text: true})
	}
	for _, f := range v.Files {
		w.Files = append(w.Files, web.WorkFile{ID: f.ID, Name: f.Name, URL: f.URL, Size: f.Size})
	}
	if v.Grade != nil {
		w.Graded, w.Points, w.Counted, w.Words = true, v.Grade.Points, v.Grade.Counted, v.Grade.Words
	}
	return w
}

func (g *Gateway) handInPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderHandIn(w, r, http.StatusOK, nil, nil)
}

// renderHandIn shows a hand-in with the reader's work, and what was typed in a form
// that was refused.
func (g *Gateway) renderHandIn(w http.ResponseWriter, r *http.Request, status int, typed *string, problem *web.Problem) error {
	one, s, _, err := g.ownHandIn(r)
	if err != nil {
		return err
	}
	mine, err := g.handins.Mine(r.Context(), s.Tenant, one.ID, s.Person)
	if err != nil {
		return err
	}
	view := web.HandInPage{Layout: g.layout(r, "", web.PageHandIn, &s), HandIn: g.webHandIn(one, mine), Key: rand.Text()}
	view.Title, view.Problem = one.Title, problem
	switch {
	case typed != nil:
		view.Text = *typed
	case mine != nil:
		if view.Text, err = g.handins.Text(r.Context(), s.Tenant, one.ID, *mine); err != nil {
			return err
		}
	}
	return g.pages.Render(w, status, web.PageHandIn, view)
}

// handInForm is postWork for a plain form.
func (g *Gateway) handInForm(w http.ResponseWriter, r *http.Request) error {
	one, s, _, err := g.ownHandIn(r)
	if err != nil {
		return err
	}
	got, err := g.receive(w, r, one, s, "")
	if err == nil {
		return seeOther(w, r, "/handins/"+one.ID, "handed-in")
	}
	if got.Read || !g.readParts(w, r) {
		r.PostForm = url.Values{"text": {got.Text}, "keep": got.Keep}
		r.MultipartForm = &multipart.Form{Value: r.PostForm, File: map[string][]*multipart.FileHeader{"file": nil}}
	}
	problem, status, mendable := problemOf(err, "Your work is not in yet")
	if f := explain(err); !mendable && f.code == lodge.CodeUnavailable {
		problem, status, mendable = &web.Problem{Title: "Your work is not in yet", Detail: f.detail}, f.status, true
	}
	if !mendable {
		return err
	}
	text := r.PostForm.Get("text")
	return g.renderHandIn(w, r, status, &text, problem)
}

func (g *Gateway) teachHandInsPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderTeachHandIns(w, r, http.StatusOK, web.HandInForm{Points: "10", Late: "refuse"}, nil)
}

func (g *Gateway) renderTeachHandIns(w http.ResponseWriter, r *http.Request, status int, form web.HandInForm, problem *web.Problem) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	if !s.Principal().Has(lodge.RoleInstructor) {
		return lodge.E(lodge.CodeForbidden, "Only an instructor sees this; ask your laboratory if that should be you.")
	}
	if form.Key == "" {
		form.Key = rand.Text()
	}
	view := web.TeachHandIns{Layout: g.layout(r, "Hand-ins", web.PageTeach, &s), Form: form}
	view.Problem = problem
	if view.Audience, err = g.choice(r, view.Say, s, form.To); err != nil {
		return err
	}
	all, err := g.handInsOf(r.Context(), s)
	if err != nil {
		return err
	}
	for _, one := range all {
		if g.grades(s.Principal(), one) {
			shown := g.webHandIn(one, nil)
			if shown.To, err = g.handInTo(r.Context(), view.Say, s, one); err != nil {
				return err
			}
			view.HandIns = append(view.HandIns, shown)
		}
	}
	return g.pages.Render(w, status, web.PageTeachHandIns, view)
}

func (g *Gateway) openHandInForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	v := r.PostFormValue
	form := web.HandInForm{
		To: v("to"), Title: v("title"), Instructions: v("instructions"), When: v("when"), Opens: v("opens"), Deadline: v("deadline"), Zone: strings.TrimSpace(v("zone")),
		Late: v("late"), PerDay: v("per_day"), Points: v("points"), Files: v("files"), MiB: v("mib"), Types: v("types"), Key: v("key"),
	}
	if narrows(r) {
		return g.renderTeachHandIns(w, r, http.StatusOK, form, nil)
	}
	req := HandInRequest{
		To: form.To, Title: form.Title, Instructions: form.Instructions, Opens: form.Opens, After: form.When == "after", Deadline: form.Deadline, Zone: orElse(form.Zone, "UTC"), Late: form.Late,
		Limits: HandInLimits{Types: strings.FieldsFunc(form.Types, func(c rune) bool { return c == ',' || c == ' ' })},
	}
	var files, mib float64
	for _, field := range []struct {
		value string
		to    *float64
	}{{form.PerDay, &req.PerDay}, {form.Points, &req.Points}, {form.Files, &files}, {form.MiB, &mib}} {
		if err == nil {
			*field.to, err = pointsIn(field.value)
		}
	}
	req.Limits.Files, req.Limits.Total = int(files), int64(mib*(1<<20))
	if form.Late != string(handin.Penalty) {
		req.PerDay = 0
	}
	var opened handin.HandIn
	if err == nil {
		opened, err = g.startHandIn(r.Context(), s, req, form.Key)
	}
	if err != nil {
		if problem, status, mendable := problemOf(err, "The hand-in was not opened"); mendable {
			return g.renderTeachHandIns(w, r, status, form, problem)
		}
		return err
	}
	return seeOther(w, r, "/teach/handins/"+opened.ID, "opened")
}

// pointsIn reads a number as people write it, with a point or a comma; empty is 0.
func pointsIn(value string) (float64, error) {
	value = strings.Replace(strings.TrimSpace(value), ",", ".", 1)
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !(n >= 0 && n < 1e9) {
		return 0, lodge.E(lodge.CodeRefused, "A number is not one; write it like 10 or 7.5.")
	}
	return n, nil
}

func (g *Gateway) teachHandInPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderTeachHandIn(w, r, http.StatusOK, nil, nil)
}

// renderTeachHandIn shows what everybody handed in, with what was typed for one
// person in a form that was refused.
func (g *Gateway) renderTeachHandIn(w http.ResponseWriter, r *http.Request, status int, typed *web.Work, problem *web.Problem) error {
	one, s, err := g.gradedHandIn(r)
	if err != nil {
		return err
	}
	all, err := g.handins.All(r.Context(), s.Tenant, one.ID)
	if err != nil {
		return err
	}
	missing, err := g.missing(r.Context(), s.Tenant, one, all)
	if err != nil {
		return err
	}
	names := map[lodge.PersonID]string{}
	for _, m := range missing {
		names[m.Person] = m.Name
	}
	view := web.TeachHandIn{Layout: g.layout(r, "", web.PageTeach, &s), HandIn: g.webHandIn(one, nil)}
	view.Title, view.Problem, view.Here = one.Title, problem, "/teach/handins/"+one.ID
	if view.HandIn.To, err = g.handInTo(r.Context(), view.Say, s, one); err != nil {
		return err
	}
	for _, work := range all {
		shown := webWork(workView(one, work))
		if len(all) <= readHere {
			if shown.Text, err = g.handins.Text(r.Context(), s.Tenant, one.ID, work); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err // else it is being replaced, and comes with the next look
			}
		}
		if work.At.IsZero() {
			shown.Name = names[work.Person]
			delete(names, work.Person)
		}
		view.Work = append(view.Work, shown)
	}
	for _, m := range missing {
		if _, still := names[m.Person]; still {
			view.Work = append(view.Work, web.Work{Person: string(m.Person), Name: m.Name})
		}
	}
	for i := range view.Work {
		if typed != nil && view.Work[i].Person == typed.Person {
			view.Work[i].Words = typed.Words
		}
	}
	return g.pages.Render(w, status, web.PageTeachHandIn, view)
}

func (g *Gateway) gradeForm(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.gradedHandIn(r)
	if err != nil {
		return err
	}
	if err := g.readForm(w, r); err != nil {
		return err
	}
	req := GradeRequest{Words: r.PostFormValue("words")}
	points, err := pointsIn(r.PostFormValue("points"))
	if req.Points = points; err == nil {
		_, err = g.grade(r.Context(), s, one, lodge.PersonID(chi.URLParam(r, "person")), req)
	}
	if err != nil {
		if problem, status, mendable := problemOf(err, "The grade was not saved"); mendable {
			return g.renderTeachHandIn(w, r, status, &web.Work{Person: chi.URLParam(r, "person"), Words: req.Words}, problem)
		}
		return err
	}
	return seeOther(w, r, "/teach/handins/"+chi.URLParam(r, "id"), "graded")
}

func (g *Gateway) releaseForm(w http.ResponseWriter, r *http.Request) error {
	one, err := g.gradesReleased(r)
	if err != nil {
		if problem, status, mendable := problemOf(err, "The grades were not released"); mendable {
			return g.renderTeachHandIn(w, r, status, nil, problem)
		}
		return err
	}
	return seeOther(w, r, "/teach/handins/"+one.ID, "grades-released")
}

func (g *Gateway) closeHandInForm(w http.ResponseWriter, r *http.Request) error {
	one, err := g.endHandIn(r)
	if err != nil {
		return err
	}
	return seeOther(w, r, "/teach/handins/"+one.ID, "closed")
}

// handInsToDo are those that a person can hand something in for now.
func (g *Gateway) handInsToDo(ctx context.Context, s sessions.Session) ([]web.HandIn, error) {
	all, err := g.handInsOf(ctx, s)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	member, err := g.membership(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []web.HandIn
	for _, one := range all {
		set, err := g.sets(ctx, s.Tenant, member.topics, one)
		if err != nil {
			return nil, err
		}
		if one.By == s.Person || !set {
			continue
		}
		mine, err := g.handins.Mine(ctx, s.Tenant, one.ID, s.Person)
		if err != nil {
			return nil, err
		}
		if shown := g.webHandIn(one, mine); shown.Takes() || shown.Mine != nil && shown.Mine.Graded {
			out = append(out, shown)
		}
	}
	return out, nil
}
