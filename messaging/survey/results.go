package survey

// Results: what answers add up to, and who may see how much of it.
//
// Where people are named, results are what was answered. Where they are not, those
// of few people would name them again: fewer answers than Small are not shown at
// all, neither of the survey nor of one of its questions; and what is shown while
// the survey is open moves in steps of Small people, so that whoever compares two
// looks at it learns the answers of Small together (state.step, ballotBox.step).

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Tally is what a survey's answers add up to.
type Tally struct {
	Survey
	// Counted is how many people's answers it counts: of those who answered an
	// open survey without names, some wait to be counted.
	Counted int
	// Held says that too few answered to show what.
	Held      bool
	Questions []Result // as the survey's, in their order
}

// Of returns the result of the question with an id; the zero Result when there is
// none.
func (t Tally) Of(id string) Result {
	for _, r := range t.Questions {
		if r.ID == id {
			return r
		}
	}
	return Result{}
}

// A Result is what the answers to one question add up to.
type Result struct {
	Question
	Answered int       // how many gave an answer
	Held     bool      // too few of them to show what
	Counts   []int     // how many chose each option, or each number from 1
	Values   []float64 // of Number: in ascending order
	Mean     float64   // of Scale and Number, with at least one answer
	Median   float64   // likewise
	Right    int       // how many gave the correct answer, where there is one
	Texts    []Words   // of Short and Text
}

// Words is what one person wrote.
type Words struct {
	ID    string // to have it shown by
	Text  string
	Shown bool // those asked, and whoever looks at the wall, may read it
}

// A row is what one person answered, under the name they have in the results.
type row struct {
	id      string // of their words; changes when they change their answer
	person  lodge.PersonID
	name    string
	at      time.Time // zero where people are not named
	answers map[string]Answer
}

// rows returns the answers that results count, in an order that tells nothing of
// who they are, unless people are named. The responses are open.
func (s *state) rows(box ballotBox) []row {
	var all []row
	switch s.mode() {
	case Unlinkable:
		every := !s.open() || s.small() == 1
		for _, b := range box.Ballots {
			if every || b.Counted {
				all = append(all, row{id: hex.EncodeToString(b.ID[:8]), answers: b.Answers})
			}
		}
		return all
	case Pseudonymous:
		for _, r := range ordered(s.countable()) {
			name := s.pseudonym(r.Person)
			all = append(all, row{id: fmt.Sprint(name, "~", r.Version), name: name, answers: r.Answers})
		}
		slices.SortFunc(all, func(a, b row) int { return strings.Compare(a.name, b.name) })
	default:
		for _, r := range ordered(s.Responses) {
			all = append(all, row{id: fmt.Sprint(r.Order, "~", r.Version), person: r.Person, name: r.Name, at: r.At, answers: r.Answers})
		}
	}
	return slices.DeleteFunc(all, func(r row) bool { return len(r.answers) == 0 }) // of people who were erased
}

// countable are the responses that results count now.
func (s *state) countable() map[lodge.PersonID]*response {
	if s.mode() == Pseudonymous && s.open() && s.small() > 1 {
		return s.Counted
	}
	return s.Responses
}

// pseudonym is what a person is called in this survey's results.
func (s *state) pseudonym(person lodge.PersonID) string {
	mac := hmac.New(sha256.New, s.Pseudonyms)
	mac.Write([]byte(person))
	return "P-" + base32.StdEncoding.EncodeToString(mac.Sum(nil))[:8]
}

// held reports whether so many answers are too few to be shown.
func (s *state) held(n int) bool { return s.mode() != Identified && n < s.small() }

// tally counts the answers of a survey.
func (s *state) tally(box ballotBox) Tally {
	t := Tally{Survey: s.view()}
	if s.mode() == Unlinkable {
		t.Answered = len(box.Ballots)
	}
	rows := s.rows(box)
	t.Counted = len(rows)
	t.Held = s.held(len(rows))
	for _, q := range s.Questions {
		r := Result{Question: q}
		if !t.Held {
			r.count(rows, s.Shown)
			if s.held(r.Answered) && r.Answered > 0 {
				r = Result{Question: q, Answered: r.Answered, Held: true}
			}
		}
		t.Questions = append(t.Questions, r)
	}
	return t
}

// count adds up the answers to a question.
func (r *Result) count(rows []row, shown map[string]bool) {
	switch r.Kind {
	case Single, Multiple:
		r.Counts = make([]int, len(r.Options))
	case Scale:
		r.Counts = make([]int, min(max(r.Max, 0), maxScale))
	}
	for _, one := range rows {
		a, ok := one.answers[r.ID]
		if !ok {
			continue
		}
		r.Answered++
		if r.right(a) {
			r.Right++
		}
		switch r.Kind {
		case Single, Multiple:
			for _, o := range a.Options {
				add(r.Counts, o)
			}
		case Scale:
			add(r.Counts, a.Number-1)
			r.Values = append(r.Values, float64(a.Number))
		case Number:
			if a.Value != nil {
				r.Values = append(r.Values, *a.Value)
			}
		case Short, Text:
			id := textID(r.ID, one.id)
			r.Texts = append(r.Texts, Words{ID: id, Text: a.Text, Shown: shown[id]})
		}
	}
	r.middle()
	if r.Kind == Scale {
		r.Values = nil // the counts have them
	}
}

func (r *Result) middle() {
	n := len(r.Values)
	if n == 0 {
		return
	}
	slices.Sort(r.Values)
	for _, v := range r.Values {
		r.Mean += v / float64(n)
	}
	r.Median = (r.Values[(n-1)/2] + r.Values[n/2]) / 2
}

// textID names what one person wrote to one question, until they change it.
func textID(question, row string) string { return question + "~" + row }

// add adds one, unless the answer is none of the question's.
func add(counts []int, i int) {
	if i >= 0 && i < len(counts) {
		counts[i]++
	}
}

// Tally counts a survey's answers. Those of people who were erased are no more
// than counted as answered.
func (d *Desk) Tally(ctx context.Context, tenant lodge.Tenant, id string) (Tally, error) {
	s, box, err := d.results(ctx, tenant, id)
	if err != nil {
		return Tally{}, err
	}
	return s.tally(box), nil
}

// results returns a survey with its answers opened.
func (d *Desk) results(ctx context.Context, tenant lodge.Tenant, id string) (*state, ballotBox, error) {
	s, _, err := d.read(ctx, tenant, id)
	if err != nil || s.mode() != Unlinkable {
		return s, ballotBox{}, err
	}
	box, err := d.box(ctx, tenant, id)
	return s, box, err
}

// Public returns a tally as those asked may see it: with the words that were let
// through, and without what else was written.
func (t Tally) Public() Tally {
	t.Questions = slices.Clone(t.Questions)
	for i := range t.Questions {
		q := &t.Questions[i]
		q.Texts = slices.DeleteFunc(slices.Clone(q.Texts), func(w Words) bool { return !w.Shown })
	}
	return t
}
