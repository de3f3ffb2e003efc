package gateway

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/web"
)

func newKey() string { return rand.Text() }

// beginSurveyForm begins a draft, as a copy of something or empty, or opens a
// template at once.
func (g *Gateway) beginSurveyForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	s, err := g.author(r)
	if err != nil {
		return err
	}
	from, to, key := r.PostFormValue("from"), r.PostFormValue("to"), r.PostFormValue("key")
	if narrows(r) {
		return g.renderSurveys(w, r, http.StatusOK, to, nil)
	}
	if r.PostFormValue("do") == "open" {
		opened, err := g.openNow(r, s, from, to, key)
		if err != nil {
			if problem, status, mendable := problemOf(err, web.Text("The survey was not opened")); mendable {
				return g.renderSurveys(w, r, status, to, problem)
			}
			return err
		}
		return seeOther(w, r, "/teach/surveys/"+opened.ID, "opened")
	}
	draft, err := g.begun(r, s, from)
	if err != nil {
		return err
	}
	if from == "" {
		draft.Title, draft.Questions = "", []survey.Question{{ID: "q1", Kind: survey.Single}}
	}
	draft.To = to
	saved, err := g.saveDraft(r, s, "", survey.Saved{Draft: draft})
	if err != nil {
		if problem, status, mendable := problemOf(err, web.Text("The draft was not made")); mendable {
			return g.renderSurveys(w, r, status, to, problem)
		}
		return err
	}
	return seeOther(w, r, draftPath(saved.ID), "")
}

func draftPath(id string) string { return "/teach/surveys/drafts/" + id }

func (g *Gateway) openNow(r *http.Request, s sessions.Session, id, to, key string) (survey.Survey, error) {
	one, err := g.kept(r, s, id)
	if err != nil {
		return survey.Survey{}, err
	}
	return g.openKept(r, s, one, orElse(to, one.To), orElse(key, newKey()))
}

// importSurveyForm makes a draft of a file that somebody chose.
func (g *Gateway) importSurveyForm(w http.ResponseWriter, r *http.Request) error {
	s, err := g.author(r)
	if err != nil {
		return err
	}
	draft, err := readUpload(w, r)
	var saved survey.Saved
	if err == nil {
		saved, err = g.saveDraft(r, s, "", survey.Saved{Draft: draft})
	}
	if err != nil {
		if problem, status, mendable := problemOf(err, web.Text("The file was not taken")); mendable {
			return g.renderSurveys(w, r, status, "", problem)
		}
		return err
	}
	return seeOther(w, r, draftPath(saved.ID), "imported")
}

func readUpload(w http.ResponseWriter, r *http.Request) (survey.Draft, error) {
	r.Body = http.MaxBytesReader(w, r.Body, survey.MaxDocument+16<<10) // the file, and what a form puts around it
	file, _, err := r.FormFile("file")
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return survey.Draft{}, tooLarge
	}
	if err != nil {
		return survey.Draft{}, lodge.Wrap(lodge.CodeRefused, "Choose the file of a survey first.", err)
	}
	data, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close(), r.MultipartForm.RemoveAll()); err != nil {
		return survey.Draft{}, err
	}
	return survey.ReadDocument(data)
}

func (g *Gateway) draftPage(w http.ResponseWriter, r *http.Request) error {
	one, s, err := g.ownDraft(r)
	if err != nil {
		return err
	}
	return g.renderDraft(w, r, http.StatusOK, s, g.formOf(r, s, one), nil)
}

func (g *Gateway) renderDraft(w http.ResponseWriter, r *http.Request, status int, s sessions.Session, form web.SurveyForm, problem *web.Problem) error {
	layout := g.layout(r, web.Text("Write a survey"), web.PageTeach, &s)
	audiences, err := g.choice(r, layout.Say, s, form.To)
	if err != nil {
		return err
	}
	view := web.SurveyEdit{Layout: layout, Audience: audiences, Form: form, Small: g.cfg.SurveySmall}
	view.Problem = problem
	view.Form.Key = newKey()
	return g.pages.Render(w, status, web.PageSurveyEdit, view)
}

// formOf is a draft as its form shows it.
func (g *Gateway) formOf(r *http.Request, s sessions.Session, one survey.Saved) web.SurveyForm {
	zone := g.readersZone(r)
	f := web.SurveyForm{
		ID: one.ID, Rev: one.Rev, To: one.To, Title: one.Title, Intro: one.Intro, Mode: string(modeOf(one.Mode)), After: one.After,
		Template: one.Template, Own: one.By == s.Person, Planned: one.Opens, Why: one.Problem,
	}
	if !one.Opens.IsZero() {
		f.Opens = one.Opens.In(zone).Format(localTime)
	}
	if !one.Closes.IsZero() {
		f.Closes = one.Closes.In(zone).Format(localTime)
	}
	if one.Small > 0 {
		f.Small = strconv.Itoa(one.Small)
	}
	for _, q := range questionViews(one.Questions, true) {
		form := web.QuestionForm{ID: q.ID, Section: q.Section, Text: q.Text, Kind: q.Kind, Required: q.Required, Options: strings.Join(append(q.Options, q.Labels...), "\n")}
		if q.Max > 0 {
			form.Max = strconv.Itoa(q.Max)
		}
		bounds := webQuestion(q).Bounds()
		form.Low, form.High = bounds.Min, bounds.Max
		if q.Correct != nil {
			form.Correct = correctInWords(q)
		}
		f.Questions = append(f.Questions, form)
	}
	return f
}

// draftForm keeps what was typed and does what its button says.
func (g *Gateway) draftForm(w http.ResponseWriter, r *http.Request) error {
	if err := g.readForm(w, r); err != nil {
		return err
	}
	one, s, err := g.ownDraft(r)
	if err != nil {
		return err
	}
	do := r.PostFormValue("do")
	if do == "delete" {
		if err := g.surveys.Discard(r.Context(), s.Tenant, one.ID, s.Person); err != nil {
			return err
		}
		return seeOther(w, r, "/teach/surveys", "discarded")
	}
	form := typedDraft(r.PostForm, one.ID)
	form.Own = one.By == s.Person
	if narrows(r) {
		return g.renderDraft(w, r, http.StatusOK, s, form, nil)
	}
	at := rearrange(&form, do)
	saved, err := g.keepDraft(r, s, form, do)
	if err == nil && do == "open" {
		var opened survey.Survey
		if opened, err = g.openKept(r, s, saved, saved.To, r.PostFormValue("key")); err == nil {
			return seeOther(w, r, "/teach/surveys/"+opened.ID, "opened")
		}
		form.Rev = saved.Rev // what was typed is kept; it is only not open
	}
	if err != nil {
		problem, status, mendable := problemOf(err, web.Text("This cannot be done yet"))
		if !mendable {
			return err
		}
		return g.renderDraft(w, r, status, s, form, problem)
	}
	done := ""
	switch do {
	case "save":
		done = "saved"
	case "plan":
		done = "planned"
	}
	path := draftPath(saved.ID)
	if done != "" {
		return seeOther(w, r, path, done)
	}
	http.Redirect(w, r, path+at, http.StatusSeeOther)
	return nil
}

// keepDraft saves a draft as it was typed. It waits for its hour only when that is
// asked for: any other change takes it back to by hand.
func (g *Gateway) keepDraft(r *http.Request, s sessions.Session, form web.SurveyForm, do string) (survey.Saved, error) {
	draft, err := g.draftOf(r, form)
	if err != nil {
		return survey.Saved{}, err
	}
	saved := survey.Saved{Draft: draft, Template: form.Template, Rev: form.Rev}
	if do == "plan" {
		if saved.Opens, err = moment(form.Opens, g.readersZone(r).String(), "the time to open it"); err != nil {
			return survey.Saved{}, err
		}
		if saved.Opens.IsZero() {
			return survey.Saved{}, lodge.E(lodge.CodeRefused, "Say when it is to open, or open it now.")
		}
	}
	return g.saveDraft(r, s, form.ID, saved)
}

// typedDraft reads the editor's form: fields of question N begin with q-N-.
func typedDraft(form url.Values, id string) web.SurveyForm {
	rev, _ := strconv.Atoi(form.Get("rev")) // 0 is no version, and refused as such
	f := web.SurveyForm{
		ID: id, Rev: rev, To: form.Get("to"), Title: form.Get("title"), Intro: form.Get("intro"), Mode: form.Get("mode"), After: form.Get("when") == "after",
		Opens: form.Get("opens"), Closes: form.Get("closes"), Small: form.Get("small"), Template: form.Get("template") == "yes",
	}
	for n := range 100 {
		at := fmt.Sprint("q-", n, "-")
		if !form.Has(at + "text") {
			continue
		}
		f.Questions = append(f.Questions, web.QuestionForm{
			ID: form.Get(at + "id"), Section: form.Get(at + "section"), Text: form.Get(at + "text"), Kind: form.Get(at + "kind"), Options: form.Get(at + "options"),
			Max: form.Get(at + "max"), Low: form.Get(at + "low"), High: form.Get(at + "high"), Correct: form.Get(at + "correct"), Required: form.Get(at+"required") == "yes",
		})
	}
	return f
}

// rearrange adds, moves, copies and removes questions, as a button such as "up-2"
// says, and returns the place on the page to go on at.
func rearrange(f *web.SurveyForm, do string) string {
	verb, number, _ := strings.Cut(do, "-")
	n, err := strconv.Atoi(number)
	there := err == nil && n >= 0 && n < len(f.Questions)
	switch {
	case verb == "add":
		f.Questions = append(f.Questions, web.QuestionForm{Kind: string(survey.Single)})
		n = len(f.Questions) - 1
	case !there:
		return ""
	case verb == "up" && n > 0:
		f.Questions[n-1], f.Questions[n] = f.Questions[n], f.Questions[n-1]
		n--
	case verb == "down" && n < len(f.Questions)-1:
		f.Questions[n+1], f.Questions[n] = f.Questions[n], f.Questions[n+1]
		n++
	case verb == "copy":
		again := f.Questions[n]
		again.ID = ""
		f.Questions = slices.Insert(f.Questions, n+1, again)
		n++
	case verb == "remove":
		f.Questions = slices.Delete(f.Questions, n, n+1)
		n = max(n-1, 0)
	}
	return fmt.Sprint("#question-", n)
}

// draftOf is the draft that was typed.
func (g *Gateway) draftOf(r *http.Request, f web.SurveyForm) (survey.Draft, error) {
	d := survey.Draft{ID: f.ID, To: f.To, Title: f.Title, Intro: f.Intro, Mode: survey.Mode(f.Mode), After: f.After}
	var err error
	if d.Closes, err = moment(f.Closes, g.readersZone(r).String(), "the time to close it"); err != nil {
		return d, err
	}
	if strings.TrimSpace(f.Small) != "" {
		if d.Small, err = strconv.Atoi(strings.TrimSpace(f.Small)); err != nil {
			return d, lodge.Wrap(lodge.CodeRefused, "From how many answers on results are shown is a number.", err)
		}
	}
	taken := map[string]bool{}
	for _, q := range f.Questions {
		taken[q.ID] = true
	}
	for i, q := range f.Questions {
		one, err := typedQuestion(q)
		if err != nil {
			return d, lodge.Wrap(lodge.CodeRefused, fmt.Sprintf("Question %d: %s", i+1, reasonOf(err)), err)
		}
		for n := 1; one.ID == ""; n++ {
			if id := fmt.Sprint("q", n); !taken[id] {
				one.ID, taken[id] = id, true
			}
		}
		d.Questions = append(d.Questions, one)
	}
	return d, nil
}

func typedQuestion(f web.QuestionForm) (survey.Question, error) {
	q := survey.Question{ID: f.ID, Section: f.Section, Kind: survey.Kind(f.Kind), Text: f.Text, Required: f.Required}
	var lines []string
	for line := range strings.Lines(f.Options) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	var err error
	switch q.Kind {
	case survey.Single, survey.Multiple:
		q.Options = lines
	case survey.Scale:
		q.Labels, q.Max = lines, 5
		if len(lines) > 2 {
			q.Max = len(lines)
		} else if f.Max = strings.TrimSpace(f.Max); f.Max != "" {
			if q.Max, err = strconv.Atoi(f.Max); err != nil {
				return q, lodge.E(lodge.CodeRefused, "Where its scale ends is a number from 2 to 10.")
			}
		}
	case survey.Number:
		if q.Lowest, err = bound(f.Low); err == nil {
			q.Highest, err = bound(f.High)
		}
		if err != nil {
			return q, lodge.E(lodge.CodeRefused, "Its bounds are numbers, such as 0 or 9.81.")
		}
	}
	if f.Correct = strings.TrimSpace(f.Correct); f.Correct != "" {
		return q, typedCorrect(&q, f.Correct)
	}
	return q, nil
}

func bound(s string) (*float64, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil //nolint:nilnil // there is no bound
	}
	v, err := decimal(s)
	return &v, err
}

// typedCorrect reads the right answer as correctInWords writes it; options also by
// their number from 1.
func typedCorrect(q *survey.Question, s string) error {
	var a survey.Answer
	switch {
	case q.Kind.Chosen():
		for part := range strings.SplitSeq(s, ";") {
			part = strings.TrimSpace(part)
			n := slices.IndexFunc(q.Options, func(o string) bool { return strings.EqualFold(o, part) })
			if number, err := strconv.Atoi(part); n < 0 && err == nil {
				n = number - 1
			}
			if n < 0 || n >= len(q.Options) {
				return lodge.E(lodge.CodeRefused, "Its correct answer is none of its choices; write one of them, or several with ; between.")
			}
			a.Options = append(a.Options, n)
		}
	case q.Kind == survey.Scale:
		n, err := strconv.Atoi(s)
		if err != nil {
			return lodge.E(lodge.CodeRefused, "Its correct answer is a number of its scale.")
		}
		a.Number = n
	case q.Kind == survey.Number:
		value, tolerance, within := strings.Cut(strings.Replace(s, "+-", "±", 1), "±")
		v, err := decimal(value)
		if err == nil && within {
			q.Tolerance, err = decimal(tolerance)
		}
		if err != nil {
			return lodge.E(lodge.CodeRefused, "Its correct answer is a number, such as 9.81, or 9.81 ± 0.05.")
		}
		a.Value = &v
	default:
		a.Text = s
	}
	q.Correct = &a
	return nil
}
