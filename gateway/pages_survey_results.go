package gateway

import (
	"context"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
	"rsc.io/qr"

	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

// resultsPage shows a survey's results to those who conduct it, as they come in.
func (g *Gateway) resultsPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderResults(w, r, http.StatusOK, web.PageResults, nil)
}

// wallPage is resultsPage for the wall of a classroom: large, and with nothing on
// it that is not for everybody's eyes.
func (g *Gateway) wallPage(w http.ResponseWriter, r *http.Request) error {
	return g.renderResults(w, r, http.StatusOK, web.PageWall, nil)
}

func (g *Gateway) renderResults(w http.ResponseWriter, r *http.Request, status int, page string, problem *web.Problem) error {
	one, s, err := g.conducted(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	t, err := g.surveys.Tally(ctx, s.Tenant, one.ID)
	if err != nil {
		return err
	}
	cat, err := g.desk.Catalogue(ctx, s.Tenant)
	if err != nil {
		return err
	}
	names, err := g.namesOf(ctx, s, []string{one.To})
	if err != nil {
		return err
	}
	view := web.SurveyResults{Layout: g.layout(r, "", web.PageTeach, &s), Answer: g.cfg.PublicURL + "/surveys/" + one.ID}
	view.Title, view.Problem = one.Title, problem
	if page == web.PageWall && one.Open() {
		code, err := qr.Encode(view.Answer, qr.M)
		if err != nil {
			return err
		}
		view.QR = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG())) //nolint:gosec // made here
	}
	if page == web.PageWall {
		t = t.Public()
	}
	view.Tally = webTally(cat, view.Say, s, names, t)
	view.Address = typed(g.cfg.PublicURL)
	asked := r.URL.Query().Get("question")
	if slices.ContainsFunc(view.Tally.Results, func(one web.Result) bool { return one.ID == asked }) {
		view.Question = asked
	}
	if page == web.PageWall && one.ReleasedAt.IsZero() {
		// Whoever has not answered yet is not to read it off the wall.
		for i := range view.Tally.Results {
			view.Tally.Results[i].Correct = ""
		}
	}
	return g.pages.Render(w, status, page, view)
}

// typed is an address as a person types it into a browser.
func typed(address string) string { return strings.TrimPrefix(address, "https://") }

// surveyStepForm closes a survey, releases its results, or has words shown.
func (g *Gateway) surveyStepForm(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.conducted(r)
	if err != nil {
		return err
	}
	if err := g.readForm(w, r); err != nil {
		return err
	}
	done := ""
	switch step := r.PostFormValue("do"); step {
	case "close":
		_, err = g.endSurvey(r.Context(), s, one)
		done = "closed"
	case "release":
		_, err = g.release(r.Context(), s, one)
		done = "released"
	case "show", "hide":
		err = g.showWords(r.Context(), s, one, r.PostFormValue("words"), step == "show")
	case "show-all":
		err = g.showAll(r.Context(), s, one, r.PostFormValue("question"))
	}
	if problem, status, mendable := problemOf(err, web.Text("That was not done")); err != nil && mendable {
		return g.renderResults(w, r, status, web.PageResults, problem)
	}
	if err != nil {
		return err
	}
	return seeOther(w, r, "/teach/surveys/"+chi.URLParam(r, "id"), done)
}

// showAll lets everything that was written to a question be shown.
func (g *Gateway) showAll(ctx context.Context, s sessions.Session, one survey.Survey, question string) error {
	t, err := g.surveys.Tally(ctx, s.Tenant, one.ID)
	if err != nil {
		return err
	}
	words := slices.Clone(t.Of(question).Texts)
	for _, w := range words {
		if w.Shown {
			continue
		}
		if err := g.surveys.Show(ctx, s.Tenant, one.ID, w.ID, true); err != nil {
			return err
		}
	}
	return g.notifyAnswered(s.Tenant, one)
}
