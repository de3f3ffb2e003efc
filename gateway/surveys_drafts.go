package gateway

import (
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
)

// author is a signed-in person who may open surveys, and so write them.
func (g *Gateway) author(r *http.Request) (sessions.Session, error) {
	s, err := g.person(r)
	if err != nil {
		return s, err
	}
	if p := s.Principal(); !p.Has(lodge.RoleInstructor) && !p.Has(lodge.RoleTechnician) {
		return s, lodge.E(lodge.CodeForbidden, "Only instructors and technicians write surveys; ask your laboratory if that should be you.")
	}
	return s, nil
}

func (g *Gateway) listDrafts(w http.ResponseWriter, r *http.Request) error {
	s, err := g.author(r)
	if err != nil {
		return err
	}
	all, err := g.surveys.Drafts(r.Context(), s.Tenant, s.Person)
	if err != nil {
		return err
	}
	views := []DraftView{}
	for _, one := range append(all, survey.Templates(g.speaks(r).Tr)...) {
		views = append(views, draftView(one, one.By == s.Person))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"drafts": views})
}

func (g *Gateway) postDraft(w http.ResponseWriter, r *http.Request) error {
	s, err := g.author(r)
	if err != nil {
		return err
	}
	var req DraftRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	begun, err := g.begun(r, s, req.From)
	if err != nil {
		return err
	}
	saved, err := g.saveDraft(r, s, keyed(s, key), overlay(begun, req))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, draftView(saved, true))
}

// begun is the draft that another survey, draft or template makes: a copy.
func (g *Gateway) begun(r *http.Request, s sessions.Session, from string) (survey.Draft, error) {
	if from == "" {
		return survey.Draft{}, nil
	}
	one, err := g.kept(r, s, from)
	if err == nil {
		return one.Copy(), nil
	}
	if lodge.CodeOf(err) != lodge.CodeNotFound {
		return survey.Draft{}, err
	}
	opened, err := g.survey(r.Context(), s.Tenant, from)
	if err != nil {
		return survey.Draft{}, err
	}
	if !g.conducts(s.Principal(), opened) {
		return survey.Draft{}, errNotThere("survey")
	}
	return opened.Copy(), nil
}

// overlay puts what a request says over what a draft was begun with.
func overlay(d survey.Draft, req DraftRequest) survey.Saved {
	d.To, d.Title, d.Intro = orElse(req.To, d.To), orElse(req.Title, d.Title), orElse(req.Intro, d.Intro)
	d.Mode, d.After = survey.Mode(orElse(req.Mode, string(d.Mode))), req.After || d.After
	d.Closes, d.Small = req.Closes, req.Small
	if req.Questions != nil {
		d.Questions = questions(req.Questions)
	}
	return survey.Saved{Draft: d, Template: req.Template, Opens: req.Opens.UTC(), Rev: req.Rev}
}

// saveDraft keeps a draft under an id; what opens by itself is checked against
// what its author may do, now, and again when its time has come.
func (g *Gateway) saveDraft(r *http.Request, s sessions.Session, id string, draft survey.Saved) (survey.Saved, error) {
	draft.ID = id
	if draft.Opens.IsZero() {
		return g.surveys.Save(r.Context(), s.Tenant, s.Person, draft)
	}
	if err := g.maySend(s.Principal(), draft.To); err != nil {
		return survey.Saved{}, err
	}
	if err := g.exists(r.Context(), s.Tenant, draft.To); err != nil {
		return survey.Saved{}, err
	}
	draft.Small = max(draft.Small, g.cfg.SurveySmall)
	return g.surveys.Save(r.Context(), s.Tenant, s.Person, draft)
}

func (g *Gateway) getDraft(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.ownDraft(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, draftView(one, one.By == s.Person))
}

// ownDraft is the draft, or template, of a request.
func (g *Gateway) ownDraft(r *http.Request) (survey.Saved, sessions.Session, error) {
	s, err := g.author(r)
	if err != nil {
		return survey.Saved{}, s, err
	}
	one, err := g.kept(r, s, chi.URLParam(r, "id"))
	return one, s, err
}

// kept is a draft, or a template: one of every installation in the reader's language.
func (g *Gateway) kept(r *http.Request, s sessions.Session, id string) (survey.Saved, error) {
	for _, one := range survey.Templates(g.speaks(r).Tr) {
		if one.ID == id {
			return one, nil
		}
	}
	return g.surveys.Draft(r.Context(), s.Tenant, id, s.Person)
}

func (g *Gateway) putDraft(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.ownDraft(r)
	if err != nil {
		return err
	}
	var req DraftRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	if req.From != "" || req.Rev == 0 {
		return lodge.E(lodge.CodeInvalid, "A change of a draft says which version it changes (rev), and not what to copy (from).")
	}
	saved, err := g.saveDraft(r, s, one.ID, overlay(survey.Draft{}, req))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, draftView(saved, true))
}

func (g *Gateway) deleteDraft(w http.ResponseWriter, r *http.Request) error {
	s, err := g.author(r)
	if err != nil {
		return err
	}
	if err := g.surveys.Discard(r.Context(), s.Tenant, chi.URLParam(r, "id"), s.Person); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) postOpenDraft(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.ownDraft(r)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	opened, err := g.openKept(r, s, one, one.To, key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, surveyView(opened, nil, true))
}

// openKept opens a draft, which is one no more then, or a copy of a template.
func (g *Gateway) openKept(r *http.Request, s sessions.Session, one survey.Saved, to, key string) (survey.Survey, error) {
	if err := g.sends.allow(s.Tenant, string(s.Person)); err != nil {
		return survey.Survey{}, err
	}
	draft := one.Draft
	if draft.To = to; one.Template || one.By != s.Person {
		draft.ID = keyed(s, key)
	}
	return g.openDraft(r.Context(), s, draft)
}

// importSurvey makes a draft of a file.
func (g *Gateway) importSurvey(w http.ResponseWriter, r *http.Request) error {
	s, err := g.author(r)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max(g.cfg.MaxBody, survey.MaxDocument)))
	if err != nil {
		return err
	}
	draft, err := survey.ReadDocument(data)
	if err != nil {
		return err
	}
	saved, err := g.saveDraft(r, s, keyed(s, key), survey.Saved{Draft: draft})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, draftView(saved, true))
}

// exportSurvey writes what a survey, draft or template asks, as importSurvey reads
// it.
func (g *Gateway) exportSurvey(w http.ResponseWriter, r *http.Request) error {
	s, err := g.author(r)
	if err != nil {
		return err
	}
	draft, err := g.begun(r, s, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="survey.json"`)
	return writeJSON(w, http.StatusOK, draft.Document())
}
