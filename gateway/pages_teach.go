package gateway

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// teachForms is what was typed into the forms of /teach.
type teachForms struct {
	notice   web.NoticeForm
	survey   web.SurveyForm
	register web.RegisterForm
	problem  *web.Problem
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
	p := s.Principal()
	if !p.Has(lodge.RoleInstructor) {
		return lodge.E(lodge.CodeForbidden, "Only an instructor sees this; ask your laboratory if that should be you.")
	}
	ctx := r.Context()
	for _, key := range []*string{&forms.notice.Key, &forms.survey.Key, &forms.register.Key} {
		if *key == "" {
			*key = rand.Text()
		}
	}
	view := web.Teach{
		Layout: g.layout(r, "Teach", web.PageTeach, &s), Notice: forms.notice, Survey: forms.survey, Register: forms.register,
	}
	view.Problem = forms.problem
	audiences, err := g.audiences(ctx, s, true)
	if err != nil {
		return err
	}
	view.Audience = webAudiences(view.Say, audiences)
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(cat.Groups) {
		if teaches(p, name) {
			view.Groups = append(view.Groups, web.Group{Name: name, Title: cat.Title(cat.Groups[name].Description, name)})
		}
	}
	if err := g.teachMessages(ctx, s, cat, &view); err != nil {
		return err
	}
	if view.Surveys, err = g.webTallies(ctx, s); err != nil {
		return err
	}
	registers, err := g.registersOf(ctx, s)
	if err != nil {
		return err
	}
	for _, register := range registers {
		if teaches(p, register.Group) {
			one := webRegister(register, "")
			one.CSV = "/api/v1/registers/" + register.ID + ".csv"
			view.Registers = append(view.Registers, one)
		}
	}
	if view.Bookings, err = g.underWay(ctx, s, cat); err != nil {
		return err
	}
	return g.pages.Render(w, status, web.PageTeach, view)
}

func (g *Gateway) webTallies(ctx context.Context, s sessions.Session) ([]web.Tally, error) {
	all, err := g.surveysOf(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []web.Tally
	for _, one := range all {
		if !g.conducts(s.Principal(), one) {
			continue
		}
		t, err := g.surveys.Tally(ctx, s.Tenant, one.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, web.Tally{
			Survey: webSurvey(surveyView(one, nil, true)), Answered: t.Answered, Counts: t.Counts, Texts: t.Texts, CSV: "/api/v1/surveys/" + one.ID + ".csv",
		})
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

// surveyForm reads questions from fields q-text-N, q-kind-N and q-options-N.
func (g *Gateway) surveyForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	form := web.SurveyForm{To: r.PostFormValue("to"), Title: r.PostFormValue("title"), Key: r.PostFormValue("key")}
	req := SurveyRequest{To: form.To, Title: form.Title}
	for _, n := range questionNumbers(r.PostForm) {
		q := web.QuestionForm{Text: r.PostFormValue("q-text-" + n), Kind: r.PostFormValue("q-kind-" + n), Options: r.PostFormValue("q-options-" + n)}
		form.Questions = append(form.Questions, q)
		if strings.TrimSpace(q.Text) != "" {
			req.Questions = append(req.Questions, question(q))
		}
	}
	if _, err := g.startSurvey(r.Context(), s, req, form.Key); err != nil {
		return g.refused(w, r, err, "The survey was not opened", teachForms{survey: form})
	}
	return seeOther(w, r, "/teach", "opened")
}

// questionNumbers are the numbers of the form's questions, in order.
func questionNumbers(form map[string][]string) []string {
	var numbers []int
	for field := range form {
		if n, err := strconv.Atoi(strings.TrimPrefix(field, "q-text-")); err == nil && strings.HasPrefix(field, "q-text-") {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	var out []string
	for _, n := range numbers {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

func question(q web.QuestionForm) QuestionView {
	var options []string
	for line := range strings.Lines(q.Options) {
		if line = strings.TrimSpace(line); line != "" {
			options = append(options, line)
		}
	}
	view := QuestionView{Kind: q.Kind, Text: strings.TrimSpace(q.Text)}
	switch q.Kind {
	case "scale":
		view.Max = 5
		if len(options) > 0 {
			n, err := strconv.Atoi(options[0])
			if err != nil {
				n = -1 // refused by the survey's rules
			}
			view.Max = n
		}
	case "single", "multiple":
		view.Options = options
	}
	return view
}

func (g *Gateway) closeSurveyForm(w http.ResponseWriter, r *http.Request) error {
	if _, err := g.endSurvey(r); err != nil {
		return err
	}
	return seeOther(w, r, "/teach", "closed")
}

func (g *Gateway) registerForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.person(r)
	if err != nil {
		return err
	}
	form := web.RegisterForm{Title: r.PostFormValue("title"), Group: r.PostFormValue("group"), Key: r.PostFormValue("key")}
	if _, err := g.startRegister(r.Context(), s, RegisterRequest{Title: form.Title, Group: form.Group}, form.Key); err != nil {
		return g.refused(w, r, err, "The register was not opened", teachForms{register: form})
	}
	return seeOther(w, r, "/teach", "opened")
}

func (g *Gateway) closeRegisterForm(w http.ResponseWriter, r *http.Request) error {
	if _, err := g.endRegister(r); err != nil {
		return err
	}
	return seeOther(w, r, "/teach", "closed")
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
