package gateway

import (
	"context"
	"net/http"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
)

// seen returns a survey's results as the caller may see them: whoever conducts it
// sees all there is, those asked what was released.
func (g *Gateway) seen(r *http.Request) (survey.Tally, sessions.Session, bool, error) {
	one, s, conducts, err := g.ownSurvey(r)
	if err != nil {
		return survey.Tally{}, s, false, err
	}
	if !conducts && one.ReleasedAt.IsZero() {
		return survey.Tally{}, s, false, lodge.E(lodge.CodeForbidden, "The results of this survey are not released; until then only those who conduct it see them.")
	}
	t, err := g.surveys.Tally(r.Context(), s.Tenant, one.ID)
	if err == nil && !conducts {
		t = t.Public()
	}
	return t, s, conducts, err
}

func (g *Gateway) surveyResults(w http.ResponseWriter, r *http.Request) error {
	t, _, _, err := g.seen(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, tallyView(t))
}

func (g *Gateway) surveyCSV(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.conducted(r)
	if err != nil {
		return err
	}
	csvHeader(w, "survey")
	return g.surveys.CSV(r.Context(), s.Tenant, one.ID, w)
}

func (g *Gateway) surveyAnswers(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.conducted(r)
	if err != nil {
		return err
	}
	lines, err := g.surveys.Lines(r.Context(), s.Tenant, one.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, LinesView{ID: one.ID, Title: one.Title, Mode: string(one.Mode), Lines: lines})
}

func (g *Gateway) releaseSurvey(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.conducted(r)
	if err != nil {
		return err
	}
	if one, err = g.release(r.Context(), s, one); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, surveyView(one, nil, true))
}

// release lets those who were asked see the results, and tells them.
func (g *Gateway) release(ctx context.Context, s sessions.Session, one survey.Survey) (survey.Survey, error) {
	one, err := g.surveys.ReleaseResults(ctx, s.Tenant, one.ID, s.Principal())
	if err != nil {
		return one, err
	}
	g.recordBy(ctx, s, audit.SurveyRelease, "survey:"+one.ID, "to "+one.To+": "+one.Title)
	if one.After {
		return one, nil // they find it where they answered
	}
	return one, g.publish(ctx, s.Tenant, one.To, messaging.TypeSurvey, surveyMessage(one.ID, "released"), SurveyChanged{Survey: one.ID, Title: one.Title, Change: "released"})
}

func (g *Gateway) putWords(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.conducted(r) // before what they say is looked at
	if err != nil {
		return err
	}
	var req WordsRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if err := g.showWords(r.Context(), s, one, req.Words, req.Shown); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// showWords lets what somebody wrote be shown to those asked, or no more.
func (g *Gateway) showWords(ctx context.Context, s sessions.Session, one survey.Survey, words string, shown bool) error {
	if err := g.surveys.Show(ctx, s.Tenant, one.ID, words, shown); err != nil {
		return err
	}
	return g.notifyAnswered(s.Tenant, one)
}
