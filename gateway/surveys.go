package gateway

import (
	"context"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
)

// SurveyChanged is the data of a lodge.survey event.
type SurveyChanged struct {
	Survey string `json:"survey"`
	Title  string `json:"title"`
	Change string `json:"change"` // opened, answered, closed, released
}

func (g *Gateway) openSurvey(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req SurveyRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	opened, err := g.startSurvey(r.Context(), s, req, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, surveyView(opened, nil, true))
}

// startSurvey opens a survey and tells its audience.
func (g *Gateway) startSurvey(ctx context.Context, s sessions.Session, req SurveyRequest, key string) (survey.Survey, error) {
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return survey.Survey{}, err
	}
	draft := g.draft(req)
	draft.ID = keyed(s, key)
	return g.openDraft(ctx, s, draft)
}

// openDraft opens a survey, for whoever may, and tells its audience.
func (g *Gateway) openDraft(ctx context.Context, s sessions.Session, draft survey.Draft) (survey.Survey, error) {
	if err := g.maySend(s.Principal(), draft.To); err != nil {
		return survey.Survey{}, err
	}
	if err := g.exists(ctx, s.Tenant, draft.To); err != nil {
		return survey.Survey{}, err
	}
	if draft.Small < g.cfg.SurveySmall {
		draft.Small = g.cfg.SurveySmall
	}
	opened, err := g.surveys.Open(ctx, s.Tenant, s.Principal(), draft)
	if err != nil {
		return survey.Survey{}, err
	}
	g.recordBy(ctx, s, audit.SurveyOpen, "survey:"+opened.ID, "to "+opened.To+", "+string(opened.Mode)+": "+opened.Title)
	return opened, g.tellSurvey(ctx, s.Tenant, opened)
}

// tellSurvey tells the audience that a survey opened, or closed: of each kind of
// change once, whoever of the nodes does. Of one that goes with each person's
// experiment nobody is told before that ended (sequel).
func (g *Gateway) tellSurvey(ctx context.Context, tenant lodge.Tenant, one survey.Survey) error {
	change := survey.Opened
	if !one.Open() {
		change = survey.Closed
	}
	if !one.After {
		if err := g.publish(ctx, tenant, one.To, messaging.TypeSurvey, surveyMessage(one.ID, change), SurveyChanged{Survey: one.ID, Title: one.Title, Change: change}); err != nil {
			return err
		}
	}
	return g.surveys.Told(ctx, tenant, one.ID, change)
}

// surveyMessage is the id of the message about a change of a survey, of which each
// topic has one.
func surveyMessage(id, change string) string { return "survey-" + id + "-" + change }

// conducts reports whether a principal may see a survey's results and close it:
// who opened it, for as long as they might do so again, and the instructors of
// those who are asked.
func (g *Gateway) conducts(p lodge.Principal, one survey.Survey) bool {
	return p.Kind == string(sessions.Login) && g.maySend(p, one.To) == nil &&
		(one.By == p.Person || p.Can(lodge.RoleInstructor, lodge.Scope(one.To)))
}

// survey returns a survey; that there is none reads like one that is not the
// reader's.
func (g *Gateway) survey(ctx context.Context, tenant lodge.Tenant, id string) (survey.Survey, error) {
	one, err := g.surveys.Get(ctx, tenant, id)
	if lodge.CodeOf(err) == lodge.CodeNotFound {
		err = errNotThere("survey")
	}
	return one, err
}

// ownSurvey returns a survey that the caller is asked or conducts.
func (g *Gateway) ownSurvey(r *http.Request) (one survey.Survey, s sessions.Session, conducts bool, err error) {
	if s, err = g.caller(r); err != nil {
		return one, s, false, err
	}
	if one, err = g.survey(r.Context(), s.Tenant, chi.URLParam(r, "id")); err != nil {
		return one, s, false, err
	}
	if g.conducts(s.Principal(), one) {
		return one, s, true, nil
	}
	member, err := g.membership(r.Context(), s)
	if err != nil {
		return one, s, false, err
	}
	asked, err := g.asks(r.Context(), s.Tenant, member.topics, one)
	if err == nil && !asked {
		err = errNotThere("survey")
	}
	return one, s, false, err
}

// asks reports whether a survey is put to whoever hears some topics.
func (g *Gateway) asks(ctx context.Context, tenant lodge.Tenant, topics []string, one survey.Survey) (bool, error) {
	if one.After {
		return g.finished(ctx, tenant, topics, g.surveySequel(tenant, one))
	}
	return slices.Contains(topics, one.To), nil
}

// conducted returns a survey that the caller conducts.
func (g *Gateway) conducted(r *http.Request) (survey.Survey, sessions.Session, error) {
	one, s, conducts, err := g.ownSurvey(r)
	if err == nil && !conducts {
		err = lodge.E(lodge.CodeForbidden, "Only those who conduct the survey see its results and close it.")
	}
	return one, s, err
}

func (g *Gateway) listSurveys(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	views := []SurveyView{}
	all, err := g.surveysOf(r.Context(), s)
	if err != nil {
		return err
	}
	for _, one := range all {
		view, err := g.surveyFor(r.Context(), s, one, g.conducts(s.Principal(), one))
		if err != nil {
			return err
		}
		views = append(views, view)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"surveys": views})
}

// surveysOf are those a person is asked or conducts, newest first.
func (g *Gateway) surveysOf(ctx context.Context, s sessions.Session) ([]survey.Survey, error) {
	all, err := g.surveys.List(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	member, err := g.membership(ctx, s)
	if err != nil {
		return nil, err
	}
	var mine []survey.Survey
	for _, one := range all {
		asked := g.conducts(s.Principal(), one)
		if !asked {
			if asked, err = g.asks(ctx, s.Tenant, member.topics, one); err != nil {
				return nil, err
			}
		}
		if asked {
			mine = append(mine, one)
		}
	}
	return mine, nil
}

// surveyFor is a survey as a session's holder sees it.
func (g *Gateway) surveyFor(ctx context.Context, s sessions.Session, one survey.Survey, conducts bool) (SurveyView, error) {
	mine, err := g.surveys.Mine(ctx, s.Tenant, one.ID, s.Person)
	if err != nil {
		return SurveyView{}, err
	}
	view := surveyView(one, mine, conducts)
	if one.Unlinkable() {
		view.HasBallot, err = g.surveys.HasBallot(ctx, s.Tenant, one.ID, s.Person)
	}
	return view, err
}

func (g *Gateway) getSurvey(w http.ResponseWriter, r *http.Request) error {
	one, s, conducts, err := g.ownSurvey(r)
	if err != nil {
		return err
	}
	view, err := g.surveyFor(r.Context(), s, one, conducts)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

func (g *Gateway) closeSurvey(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.conducted(r)
	if err != nil {
		return err
	}
	if one, err = g.endSurvey(r.Context(), s, one); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, surveyView(one, nil, true))
}

func (g *Gateway) endSurvey(ctx context.Context, s sessions.Session, one survey.Survey) (survey.Survey, error) {
	one, err := g.surveys.Close(ctx, s.Tenant, one.ID, s.Principal())
	if err != nil {
		return one, err
	}
	g.recordBy(ctx, s, audit.SurveyClose, "survey:"+one.ID, "to "+one.To+": "+one.Title)
	return one, g.tellSurvey(ctx, s.Tenant, one)
}
