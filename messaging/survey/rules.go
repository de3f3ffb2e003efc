package survey

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
)

// Limits of what a survey holds; lengths are in characters.
const (
	maxID        = 64
	maxTitle     = 200
	maxTo        = 200
	maxQuestions = 50
	maxQuestion  = 1000
	maxOptions   = 50
	maxOption    = 200
	maxScale     = 10
	maxText      = 4000
)

// refuse says what a rule does not allow and what to do instead.
func refuse(format string, args ...any) error {
	return lodge.E(lodge.CodeRefused, fmt.Sprintf(format, args...))
}

// entry checks and completes a draft.
func (d Draft) entry(by lodge.PersonID, now time.Time) (entry, error) {
	e := entry{Kind: kindOpened, Survey: d.ID, At: now, By: by, To: d.To, Title: strings.TrimSpace(d.Title), Questions: clone(d.Questions)}
	if e.Survey == "" {
		e.Survey = strings.ToLower(rand.Text())
	}
	for i := range e.Questions {
		q := &e.Questions[i]
		q.Text = strings.TrimSpace(q.Text)
		if q.ID == "" {
			q.ID = fmt.Sprint("q", i+1)
		}
		for k := range q.Options {
			q.Options[k] = strings.TrimSpace(q.Options[k])
		}
	}
	switch {
	case !isID(e.Survey):
		return entry{}, refuse("The survey's id must have at most %d letters, digits, - and _.", maxID)
	case !isAudience(e.To):
		return entry{}, refuse("Say whom the survey is for: all, group:…, experiment:…, booking:… or user:….")
	case !fits(e.Title, maxTitle):
		return entry{}, refuse("The survey needs a title of at most %d characters.", maxTitle)
	}
	return e, check(e.Questions)
}

// check returns what is wrong with a survey's questions.
func check(questions []Question) error {
	if len(questions) == 0 || len(questions) > maxQuestions {
		return refuse("A survey needs 1 to %d questions.", maxQuestions)
	}
	seen := map[string]bool{}
	for i, q := range questions {
		if err := q.check(fmt.Sprintf("Question %d", i+1)); err != nil {
			return err
		}
		if seen[q.ID] {
			return refuse("Question %d has the id %q of an earlier one; give it another or none.", i+1, q.ID)
		}
		seen[q.ID] = true
	}
	return nil
}

func (q Question) check(name string) error {
	chosen := q.Kind == Single || q.Kind == Multiple
	switch {
	case !isID(q.ID):
		return refuse("%s: its id must have at most %d letters, digits, - and _.", name, maxID)
	case !fits(q.Text, maxQuestion):
		return refuse("%s: write the question, in at most %d characters.", name, maxQuestion)
	case !chosen && q.Kind != Scale && q.Kind != Text:
		return refuse("%s (%q): its kind must be single, multiple, scale or text.", name, q.Text)
	case !chosen && len(q.Options) > 0:
		return refuse("%s (%q): only single and multiple questions have options; remove them.", name, q.Text)
	case chosen && (len(q.Options) < 2 || len(q.Options) > maxOptions):
		return refuse("%s (%q): give it 2 to %d options.", name, q.Text, maxOptions)
	case q.Kind != Scale && q.Max != 0:
		return refuse("%s (%q): only a scale has a maximum; remove it.", name, q.Text)
	case q.Kind == Scale && (q.Max < 2 || q.Max > maxScale):
		return refuse("%s (%q): let its scale end at 2 to %d.", name, q.Text, maxScale)
	}
	for i, o := range q.Options {
		if !fits(o, maxOption) {
			return refuse("%s (%q): write option %d, in at most %d characters.", name, q.Text, i+1, maxOption)
		}
		if slices.Contains(q.Options[:i], o) {
			return refuse("%s (%q): option %d is there already; remove one.", name, q.Text, i+1)
		}
	}
	return nil
}

// accept checks a person's answers and returns them in one form: without empty
// ones, options in order, texts trimmed.
func accept(questions []Question, given map[string]Answer) (map[string]Answer, error) {
	accepted := map[string]Answer{}
	for i, q := range questions {
		name := fmt.Sprintf("Question %d (%q)", i+1, q.Text)
		a, err := q.accept(name, given[q.ID])
		if err != nil {
			return nil, err
		}
		switch {
		case !a.isZero():
			accepted[q.ID] = a
		case q.Required:
			return nil, refuse("%s needs an answer.", name)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(questions, func(q Question) bool { return q.ID == id }) {
			return nil, refuse("The survey has no question %q; reload it and answer again.", id)
		}
	}
	if len(accepted) == 0 {
		return nil, refuse("Answer at least one question.")
	}
	return accepted, nil
}

func (q Question) accept(name string, a Answer) (Answer, error) {
	a.Options = slices.Clone(a.Options)
	slices.Sort(a.Options)
	a.Text = strings.TrimSpace(a.Text)
	chosen := q.Kind == Single || q.Kind == Multiple
	switch {
	case !chosen && len(a.Options) > 0, q.Kind != Scale && a.Number != 0, q.Kind != Text && a.Text != "":
		return a, refuse("%s is of kind %s; answer it in that way only.", name, q.Kind)
	case q.Kind == Single && len(a.Options) > 1:
		return a, refuse("%s takes one option; choose one.", name)
	case len(a.Options) > 0 && (a.Options[0] < 0 || a.Options[len(a.Options)-1] >= len(q.Options)):
		return a, refuse("%s has the options 0 to %d; choose from these.", name, len(q.Options)-1)
	case len(slices.Compact(slices.Clone(a.Options))) != len(a.Options):
		return a, refuse("%s: choose each option once.", name)
	case q.Kind == Scale && (a.Number < 0 || a.Number > q.Max):
		return a, refuse("%s: choose a number from 1 to %d.", name, q.Max)
	case a.Text != "" && !fits(a.Text, maxText):
		return a, refuse("%s: shorten the answer to %d characters of plain text.", name, maxText)
	}
	return a, nil
}

// fits reports whether s is text, not empty, of at most limit characters.
func fits(s string, limit int) bool {
	return s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit
}

func isID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func isAudience(to string) bool {
	kind, id, _ := strings.Cut(to, ":")
	switch kind {
	case "all":
		return to == "all"
	case "group", "experiment", "booking", "user":
		return fits(id, maxTo)
	}
	return false
}
