package survey

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
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
	maxShort     = 200
	maxIntro     = 2000
	maxSmall     = 1000
	maxNumber    = 1e15 // of a number, either way: a double holds it exactly
)

// refuse says what a rule does not allow and what to do instead.
func refuse(format string, args ...any) error {
	return lodge.E(lodge.CodeRefused, fmt.Sprintf(format, args...))
}

// tidy returns a draft without spaces around what was typed and without what its
// questions do not need.
func (d Draft) tidy() Draft {
	d.Title, d.Intro, d.Questions = strings.TrimSpace(d.Title), strings.TrimSpace(d.Intro), clone(d.Questions)
	if !d.Closes.IsZero() {
		d.Closes = d.Closes.UTC()
	}
	for i := range d.Questions {
		q := &d.Questions[i]
		q.Text, q.Section = strings.TrimSpace(q.Text), strings.TrimSpace(q.Section)
		if q.ID == "" {
			q.ID = fmt.Sprint("q", i+1)
		}
		for k := range q.Options {
			q.Options[k] = strings.TrimSpace(q.Options[k])
		}
		for k := range q.Labels {
			q.Labels[k] = strings.TrimSpace(q.Labels[k])
		}
		if q.Correct != nil && q.Correct.isZero() {
			q.Correct = nil
		}
	}
	return d
}

// entry checks and completes a draft.
func (d Draft) entry(by lodge.PersonID, now time.Time) (entry, error) {
	d = d.tidy()
	if d.ID == "" {
		d.ID = newID()
	}
	switch {
	case !isID(d.ID):
		return entry{}, refuse("The survey's id must have at most %d letters, digits, - and _.", maxID)
	case !isAudience(d.To):
		return entry{}, refuse("Say whom the survey is for: all, group:…, experiment:…, booking:… or user:….")
	case !fits(d.Title, maxTitle):
		return entry{}, refuse("The survey needs a title of at most %d characters.", maxTitle)
	case d.Intro != "" && !fits(d.Intro, maxIntro):
		return entry{}, refuse("The introduction is plain text of at most %d characters; shorten it.", maxIntro)
	case d.mode() != Identified && d.mode() != Pseudonymous && d.mode() != Unlinkable:
		return entry{}, refuse("A survey is identified, pseudonymous or unlinkable; choose one.")
	case !d.Closes.IsZero() && !d.Closes.After(now):
		return entry{}, refuse("It would close before it opens; choose a later time to close it.")
	case d.Small < 0 || d.Small > maxSmall:
		return entry{}, refuse("Results can be held back until 1 to %d have answered.", maxSmall)
	}
	if err := check(d.Questions); err != nil {
		return entry{}, err
	}
	if body, err := json.Marshal(d); err != nil || len(body) > maxForm {
		return entry{}, lodge.E(lodge.CodeTooLarge, "The survey is too long: at most 128 KiB in all. Divide it.")
	}
	return entry{
		Kind: kindOpened, Survey: d.ID, At: now, By: by, To: d.To, Title: d.Title, Intro: d.Intro, Mode: d.mode(), Questions: d.Questions,
		After: d.After, Closes: d.Closes, Small: d.Small, Tells: true,
	}, nil
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
	switch {
	case !isID(q.ID):
		return refuse("%s: its id must have at most %d letters, digits, - and _.", name, maxID)
	case !fits(q.Text, maxQuestion):
		return refuse("%s: write the question, in at most %d characters.", name, maxQuestion)
	case q.Section != "" && !fits(q.Section, maxTitle):
		return refuse("%s (%q): shorten the heading of its section to %d characters.", name, q.Text, maxTitle)
	case !q.Kind.Chosen() && !q.Kind.Worded() && q.Kind != Scale && q.Kind != Number:
		return refuse("%s (%q): its kind must be single, multiple, scale, number, short or text.", name, q.Text)
	case !q.Kind.Chosen() && len(q.Options) > 0:
		return refuse("%s (%q): only single and multiple questions have options; remove them.", name, q.Text)
	case q.Kind != Scale && (q.Max != 0 || len(q.Labels) > 0):
		return refuse("%s (%q): only a scale has a maximum and labels; remove them.", name, q.Text)
	case q.Kind != Number && (q.Lowest != nil || q.Highest != nil || q.Tolerance != 0):
		return refuse("%s (%q): only a number has bounds and a tolerance; remove them.", name, q.Text)
	}
	if err := q.checkKind(fmt.Sprintf("%s (%q)", name, q.Text)); err != nil || q.Correct == nil {
		return err
	}
	if _, err := q.accept(name, *q.Correct); err != nil {
		return refuse("%s (%q): its correct answer is none that can be given.", name, q.Text)
	}
	return nil
}

// checkKind checks what goes with a question's kind.
func (q Question) checkKind(name string) error {
	switch q.Kind {
	case Single, Multiple:
		if len(q.Options) < 2 || len(q.Options) > maxOptions {
			return refuse("%s: give it 2 to %d options.", name, maxOptions)
		}
	case Scale:
		if q.Max < 2 || q.Max > maxScale {
			return refuse("%s: let its scale end at 2 to %d.", name, maxScale)
		}
		if n := len(q.Labels); n != 0 && n != 2 && n != q.Max {
			return refuse("%s: give its scale %d labels, one for each number, or 2 for its ends, or none.", name, q.Max)
		}
	case Number:
		for _, n := range []*float64{q.Lowest, q.Highest, &q.Tolerance} {
			if n != nil && (math.IsNaN(*n) || math.Abs(*n) > maxNumber) {
				return refuse("%s: its numbers must be between -1e15 and 1e15.", name)
			}
		}
		if q.Lowest != nil && q.Highest != nil && *q.Lowest > *q.Highest || q.Tolerance < 0 {
			return refuse("%s: its lowest number is above its highest, or its tolerance below 0; correct it.", name)
		}
	}
	for i, l := range q.Labels {
		if !fits(l, maxOption) {
			return refuse("%s: write label %d, in at most %d characters.", name, i+1, maxOption)
		}
	}
	for i, o := range q.Options {
		if !fits(o, maxOption) {
			return refuse("%s: write option %d, in at most %d characters.", name, i+1, maxOption)
		}
		if slices.Contains(q.Options[:i], o) {
			return refuse("%s: option %d is there already; remove one.", name, i+1)
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
	limit := maxText
	if q.Kind == Short {
		limit = maxShort
	}
	switch {
	case !q.Kind.Chosen() && len(a.Options) > 0, q.Kind != Scale && a.Number != 0, q.Kind != Number && a.Value != nil, !q.Kind.Worded() && a.Text != "":
		return a, refuse("%s is of kind %s; answer it in that way only.", name, q.Kind)
	case q.Kind == Single && len(a.Options) > 1:
		return a, refuse("%s takes one option; choose one.", name)
	case len(a.Options) > 0 && (a.Options[0] < 0 || a.Options[len(a.Options)-1] >= len(q.Options)):
		return a, refuse("%s has the options 0 to %d; choose from these.", name, len(q.Options)-1)
	case len(slices.Compact(slices.Clone(a.Options))) != len(a.Options):
		return a, refuse("%s: choose each option once.", name)
	case q.Kind == Scale && (a.Number < 0 || a.Number > q.Max):
		return a, refuse("%s: choose a number from 1 to %d.", name, q.Max)
	case a.Value != nil && !q.within(*a.Value):
		return a, refuse("%s: give %s.", name, q.bounds())
	case a.Text != "" && !fits(a.Text, limit):
		return a, refuse("%s: shorten the answer to %d characters of plain text.", name, limit)
	}
	return a, nil
}

func (q Question) within(v float64) bool {
	return !math.IsNaN(v) && math.Abs(v) <= maxNumber && (q.Lowest == nil || v >= *q.Lowest) && (q.Highest == nil || v <= *q.Highest)
}

// bounds says in words which numbers a question takes.
func (q Question) bounds() string {
	number := func(v *float64) string { return strconv.FormatFloat(*v, 'g', -1, 64) }
	switch {
	case q.Lowest != nil && q.Highest != nil:
		return "a number from " + number(q.Lowest) + " to " + number(q.Highest)
	case q.Lowest != nil:
		return "a number of at least " + number(q.Lowest)
	case q.Highest != nil:
		return "a number of at most " + number(q.Highest)
	default:
		return "a number between -1e15 and 1e15"
	}
}

// right reports whether an answer is the correct one.
func (q Question) right(a Answer) bool {
	switch {
	case q.Correct == nil:
		return false
	case q.Kind == Number:
		return a.Value != nil && math.Abs(*a.Value-*q.Correct.Value) <= q.Tolerance
	case q.Kind.Worded():
		return strings.EqualFold(strings.Join(strings.Fields(a.Text), " "), strings.Join(strings.Fields(q.Correct.Text), " "))
	}
	return a.equal(*q.Correct)
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
