package gateway

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

func webSurvey(v SurveyView) web.Survey {
	out := web.Survey{
		ID: v.ID, To: v.To, Title: v.Title, Intro: v.Intro, Mode: v.Mode, Open: v.Open, OpenedAt: v.OpenedAt, Closes: v.Closes, After: v.After,
		Released: v.Released, Done: len(v.Mine) > 0 || v.HasBallot, Answered: v.Answered, Mine: map[string]web.Answer{},
	}
	for _, q := range v.Questions {
		out.Questions = append(out.Questions, webQuestion(q))
	}
	for id, a := range v.Mine {
		out.Mine[id] = web.Answer(a)
	}
	if v.BallotKey != nil {
		out.KeyN, out.KeyE = v.BallotKey.N, v.BallotKey.E
	}
	return out
}

func webQuestion(q QuestionView) web.Question {
	one := web.Question{
		ID: q.ID, Section: q.Section, Kind: q.Kind, Text: q.Text, Options: q.Options, Max: q.Max, Labels: q.Labels,
		Lowest: q.Lowest, Highest: q.Highest, Required: q.Required,
	}
	if q.Correct != nil {
		one.Correct = correctInWords(q)
	}
	return one
}

// correctInWords is the right answer as somebody would say it, and as the editor
// takes it.
func correctInWords(q QuestionView) string {
	a := *q.Correct
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	switch {
	case len(a.Options) > 0:
		var chosen []string
		for _, o := range a.Options {
			if o >= 0 && o < len(q.Options) {
				chosen = append(chosen, q.Options[o])
			}
		}
		return strings.Join(chosen, "; ")
	case a.Number != 0:
		return strconv.Itoa(a.Number)
	case a.Value != nil && q.Tolerance != 0:
		return number(*a.Value) + " ± " + number(q.Tolerance)
	case a.Value != nil:
		return number(*a.Value)
	}
	return a.Text
}

// webTally is a survey's results for a page, with its audience in words.
func webTally(cat *booking.Catalogue, say *web.Printer, s sessions.Session, names map[string]string, t survey.Tally) web.Tally {
	one := surveyView(t.Survey, nil, true)
	out := web.Tally{Survey: webSurvey(one), Answered: t.Answered, Counted: t.Counted, Small: t.Small, Held: t.Held}
	out.To = audienceInWords(cat, say, names, s, t.To)
	for i, q := range t.Questions {
		r := web.Result{
			Question: out.Questions[i], Answered: q.Answered, Held: q.Held, Counts: q.Counts, Values: q.Values, Mean: q.Mean, Median: q.Median, Right: q.Right,
		}
		for _, w := range q.Texts {
			r.Texts = append(r.Texts, web.Words(w))
		}
		out.Results = append(out.Results, r)
	}
	return out
}

// audienceInWords says whom a survey was put to, as whoever conducts it knows them.
func audienceInWords(cat *booking.Catalogue, say *web.Printer, names map[string]string, s sessions.Session, to string) string {
	switch kind, id, _ := strings.Cut(to, ":"); {
	case to == "":
		return say.T("nobody yet")
	case kind == "user" && id == string(s.Person):
		return say.T("you")
	case kind == "user" || kind == "booking":
		return orElse(names[to], say.T("one person"))
	}
	return inWords(cat, say, to)
}

// namesOf are the names behind audiences of one person, or one booking.
func (g *Gateway) namesOf(ctx context.Context, s sessions.Session, audiences []string) (map[string]string, error) {
	names := map[string]string{}
	for _, to := range audiences {
		if kind, _, _ := strings.Cut(to, ":"); names[to] != "" || kind != "user" && kind != "booking" {
			continue
		}
		people, err := g.recipients(ctx, s.Tenant, to)
		if err != nil && decided(err) {
			continue // gone since
		}
		if err != nil {
			return nil, err
		}
		for _, p := range people {
			names[to] = p.Name
		}
	}
	return names, nil
}

func (g *Gateway) surveyPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderSurvey(w, r, http.StatusOK, nil, nil)
}

func (g *Gateway) renderSurvey(w http.ResponseWriter, r *http.Request, status int, typed map[string]Answer, problem *web.Problem) error {
	one, s, _, err := g.ownSurvey(r)
	if err != nil {
		return err
	}
	view, err := g.surveyFor(r.Context(), s, one, false)
	if err != nil {
		return err
	}
	page := web.SurveyPage{Layout: g.layout(r, "", web.PageSurvey, &s), Survey: webSurvey(view)}
	page.Title, page.Problem = one.Title, problem
	if typed != nil {
		clear(page.Survey.Mine)
	}
	for id, a := range typed {
		page.Survey.Mine[id] = web.Answer(a)
	}
	if view.Released {
		t, err := g.surveys.Tally(r.Context(), s.Tenant, one.ID)
		if err != nil {
			return err
		}
		cat, err := g.desk.Catalogue(r.Context(), s.Tenant)
		if err != nil {
			return err
		}
		results := webTally(cat, page.Say, s, nil, t.Public())
		results.Public = true
		page.Results = &results
	}
	return g.pages.Render(w, status, web.PageSurvey, page)
}

// answerForm takes the answers of a plain form: fields q-<question>.
func (g *Gateway) answerForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	one, s, _, err := g.ownSurvey(r)
	if err != nil {
		return err
	}
	typed := map[string]Answer{}
	for _, q := range one.Questions {
		if values := r.PostForm["q-"+q.ID]; len(values) > 0 && strings.TrimSpace(values[0]) != "" {
			typed[q.ID] = typedAnswer(q, values)
		}
	}
	sub, err := g.subscriber(r.Context(), s)
	if err != nil {
		return err
	}
	if _, err := g.answerSurvey(r.Context(), sub, one.ID, typed); err != nil {
		if problem, status, mendable := problemOf(err, web.Text("Your answer is not in yet")); mendable {
			return g.renderSurvey(w, r, status, typed, problem)
		}
		return err
	}
	return seeOther(w, r, "/surveys/"+one.ID, "answered")
}

// typedAnswer is what the fields of a question hold. What is no number becomes one
// that the rules of the question refuse.
func typedAnswer(q survey.Question, values []string) Answer {
	whole := func(v string) int {
		n, err := strconv.Atoi(v)
		if err != nil {
			return -1
		}
		return n
	}
	switch {
	case q.Kind.Worded():
		return Answer{Text: values[0]}
	case q.Kind == survey.Scale:
		return Answer{Number: whole(values[0])}
	case q.Kind == survey.Number:
		v, err := decimal(values[0])
		if err != nil {
			v = 2e15
		}
		return Answer{Value: &v}
	}
	var a Answer
	for _, v := range values {
		a.Options = append(a.Options, whole(v))
	}
	return a
}

// decimal reads a number as people write it, with a point or a comma.
func decimal(s string) (float64, error) {
	return strconv.ParseFloat(strings.Replace(strings.TrimSpace(s), ",", ".", 1), 64)
}

// surveysPage is where surveys are written, opened and found again.
func (g *Gateway) surveysPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderSurveys(w, r, http.StatusOK, "", nil)
}

func (g *Gateway) renderSurveys(w http.ResponseWriter, r *http.Request, status int, to string, problem *web.Problem) error {
	s, err := g.author(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	view := web.Surveys{Layout: g.layout(r, web.Text("Surveys"), web.PageTeach, &s), Key: newKey(), To: to}
	view.Problem = problem
	if view.Audience, err = g.choice(r, view.Say, s, to); err != nil {
		return err
	}
	if to == "" {
		view.To = likely(view.Audience.All)
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return err
	}
	all, err := g.surveysOf(ctx, s)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(one survey.Survey) bool { return !g.conducts(s.Principal(), one) })
	drafts, err := g.surveys.Drafts(ctx, s.Tenant, s.Person)
	if err != nil {
		return err
	}
	var named []string
	for _, one := range all {
		named = append(named, one.To)
	}
	for _, one := range drafts {
		named = append(named, one.To)
	}
	names, err := g.namesOf(ctx, s, named)
	if err != nil {
		return err
	}
	for _, one := range all {
		row := webSurvey(surveyView(one, nil, true))
		row.To = audienceInWords(cat, view.Say, names, s, one.To)
		if one.Open() {
			view.Open = append(view.Open, row)
		} else {
			view.Past = append(view.Past, row)
		}
	}
	for _, one := range append(drafts, survey.Templates(view.Say.Tr)...) {
		row := web.SurveyDraft{
			ID: one.ID, Title: one.Title, To: audienceInWords(cat, view.Say, names, s, one.To), Mode: string(modeOf(one.Mode)), Questions: len(one.Questions),
			Opens: one.Opens, Changed: one.Changed, Own: one.By == s.Person, Problem: one.Problem,
		}
		if one.Template {
			view.Templates = append(view.Templates, row)
		} else {
			view.Drafts = append(view.Drafts, row)
		}
	}
	return g.pages.Render(w, status, web.PageSurveys, view)
}

// likely is the audience that somebody who teaches means most of the time: their
// first group.
func likely(all []web.Audience) string {
	for _, a := range all {
		if a.Kind() == "group" {
			return a.Value
		}
	}
	return ""
}
