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
	Change string `json:"change"` // opened, answered, closed
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
	if err := g.maySend(s.Principal(), req.To); err != nil {
		return survey.Survey{}, err
	}
	if err := g.exists(ctx, s.Tenant, req.To); err != nil {
		return survey.Survey{}, err
	}
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return survey.Survey{}, err
	}
	draft := survey.Draft{ID: keyed(s, key), To: req.To, Title: req.Title}
	for _, q := range req.Questions {
		draft.Questions = append(draft.Questions, survey.Question{
			ID: q.ID, Kind: survey.Kind(q.Kind), Text: q.Text, Options: q.Options, Max: q.Max, Required: q.Required,
		})
	}
	opened, err := g.surveys.Open(ctx, s.Tenant, s.Principal(), draft)
	if err != nil {
		return survey.Survey{}, err
	}
	g.recordBy(ctx, s, audit.SurveyOpen, "survey:"+opened.ID, "to "+opened.To+": "+opened.Title)
	return opened, g.surveyChanged(ctx, opened, s.Tenant, "opened")
}

// surveyChanged tells the audience; of each kind of change once.
func (g *Gateway) surveyChanged(ctx context.Context, one survey.Survey, tenant lodge.Tenant, change string) error {
	return g.publish(ctx, tenant, one.To, messaging.TypeSurvey, "survey-"+one.ID+"-"+change,
		SurveyChanged{Survey: one.ID, Title: one.Title, Change: change})
}

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
	if err == nil && !slices.Contains(member.topics, one.To) {
		err = errNotThere("survey")
	}
	return one, s, false, err
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
		mine, err := g.surveys.Mine(r.Context(), s.Tenant, one.ID, s.Person)
		if err != nil {
			return err
		}
		views = append(views, surveyView(one, mine, g.conducts(s.Principal(), one)))
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
	all = slices.DeleteFunc(all, func(one survey.Survey) bool {
		return !slices.Contains(member.topics, one.To) && !g.conducts(s.Principal(), one)
	})
	slices.SortStableFunc(all, func(a, b survey.Survey) int { return b.OpenedAt.Compare(a.OpenedAt) })
	return all, nil
}

func (g *Gateway) getSurvey(w http.ResponseWriter, r *http.Request) error {
	one, s, conducts, err := g.ownSurvey(r)
	if err != nil {
		return err
	}
	mine, err := g.surveys.Mine(r.Context(), s.Tenant, one.ID, s.Person)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, surveyView(one, mine, conducts))
}

func (g *Gateway) postAnswer(w http.ResponseWriter, r *http.Request) error {
	s, err := g.caller(r)
	if err != nil {
		return err
	}
	var req AnswerRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	sub, err := g.subscriber(r.Context(), s)
	if err != nil {
		return err
	}
	view, err := g.answerSurvey(r.Context(), sub, chi.URLParam(r, "id"), req.Answers)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// answerSurvey takes a person's answer, in place of an earlier one, if the
// survey is put to them now.
func (g *Gateway) answerSurvey(ctx context.Context, sub messaging.Subscriber, id string, answers map[string]Answer) (SurveyView, error) {
	one, err := g.survey(ctx, sub.Tenant, id)
	if err != nil {
		return SurveyView{}, err
	}
	if !slices.Contains(sub.Topics, one.To) {
		return SurveyView{}, errNotThere("survey")
	}
	given := make(map[string]survey.Answer, len(answers))
	for question, a := range answers {
		given[question] = survey.Answer(a)
	}
	if one, err = g.surveys.Answer(ctx, sub.Tenant, id, sub.Person, sub.Name, given); err != nil {
		return SurveyView{}, err
	}
	mine, err := g.surveys.Mine(ctx, sub.Tenant, id, sub.Person)
	if err != nil {
		return SurveyView{}, err
	}
	// Who conducts it is told that the tally moved; nobody else is.
	if err := g.notify(sub.Tenant, "user:"+string(one.By), messaging.TypeSurvey, SurveyChanged{Survey: one.ID, Title: one.Title, Change: "answered"}); err != nil {
		return SurveyView{}, err
	}
	return surveyView(one, mine, false), nil
}

func (g *Gateway) closeSurvey(w http.ResponseWriter, r *http.Request) error {
	one, err := g.endSurvey(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, surveyView(one, nil, true))
}

func (g *Gateway) endSurvey(r *http.Request) (survey.Survey, error) {
	one, s, err := g.conducted(r)
	if err != nil {
		return one, err
	}
	if one, err = g.surveys.Close(r.Context(), s.Tenant, one.ID, s.Principal()); err != nil {
		return one, err
	}
	g.recordBy(r.Context(), s, audit.SurveyClose, "survey:"+one.ID, "to "+one.To+": "+one.Title)
	return one, g.surveyChanged(r.Context(), one, s.Tenant, "closed")
}

func (g *Gateway) surveyResults(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.conducted(r)
	if err != nil {
		return err
	}
	t, err := g.surveys.Tally(r.Context(), s.Tenant, one.ID)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, TallyView{ID: t.ID, Title: t.Title, Open: t.Open(), Answered: t.Answered, Counts: t.Counts, Texts: t.Texts})
}

func (g *Gateway) surveyCSV(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.conducted(r)
	if err != nil {
		return err
	}
	csvHeader(w, "survey")
	return g.surveys.CSV(r.Context(), s.Tenant, one.ID, w)
}

// surveyView is a survey for those it is put to; how many have answered is for
// who conducts it.
func surveyView(one survey.Survey, mine map[string]survey.Answer, conducts bool) SurveyView {
	view := SurveyView{ID: one.ID, To: one.To, Title: one.Title, Questions: []QuestionView{}, Open: one.Open(), OpenedAt: one.OpenedAt}
	for _, q := range one.Questions {
		view.Questions = append(view.Questions, QuestionView{
			ID: q.ID, Kind: string(q.Kind), Text: q.Text, Options: q.Options, Max: q.Max, Required: q.Required,
		})
	}
	for question, a := range mine {
		if view.Mine == nil {
			view.Mine = map[string]Answer{}
		}
		view.Mine[question] = Answer(a)
	}
	if conducts {
		view.Answered = one.Answered
	}
	return view
}
