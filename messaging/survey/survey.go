// Package survey keeps surveys: questions that an instructor puts to an
// audience and that each person answers once.
//
// A survey opens at once and takes answers until it is closed. Until then a
// person may change their answer, which replaces the earlier one: however often
// it is sent, by however many nodes, there is one answer a person. Answers are
// identified; the tally and the CSV are for those who may see who said what.
//
// Each survey is folded from the entries of a sealed topic of its own, so that
// what races is decided by the log, the same on every node and after every
// restart; another topic lists a tenant's surveys. Both are internal: nobody
// reads them but through a Desk. What a person answered is sealed under the
// person's key (messaging.PersonKeys) in entries and in what they fold into: once
// that is erased it is only known that somebody answered. Who may open, answer and read a survey is for
// the caller to know, as is telling the audience about it.
package survey

import (
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Kind says how a question is answered.
type Kind string

// The kinds of questions.
const (
	Single   Kind = "single"   // one of the options
	Multiple Kind = "multiple" // any of the options
	Scale    Kind = "scale"    // a number from 1 to Max
	Text     Kind = "text"
)

// A Question is one question of a survey.
type Question struct {
	ID       string   `json:"id"` // unique in its survey
	Kind     Kind     `json:"kind"`
	Text     string   `json:"text"`
	Options  []string `json:"options,omitempty"` // of Single and Multiple
	Max      int      `json:"max,omitempty"`     // of Scale
	Required bool     `json:"required,omitempty"`
}

func (q Question) equal(r Question) bool {
	return q.ID == r.ID && q.Kind == r.Kind && q.Text == r.Text && slices.Equal(q.Options, r.Options) &&
		q.Max == r.Max && q.Required == r.Required
}

// An Answer is the answer to one question, in the field that goes with its
// kind. The zero Answer is none.
type Answer struct {
	Options []int  `json:"options,omitempty"` // Single, Multiple: indexes from 0
	Number  int    `json:"number,omitempty"`  // Scale
	Text    string `json:"text,omitempty"`    // Text
}

func (a Answer) isZero() bool { return len(a.Options) == 0 && a.Number == 0 && a.Text == "" }

func (a Answer) equal(b Answer) bool {
	return slices.Equal(a.Options, b.Options) && a.Number == b.Number && a.Text == b.Text
}

// A Draft is what a survey is opened with.
type Draft struct {
	// ID makes opening repeatable: the same draft by the same person gives the
	// same survey. Empty means a new one. It may have letters, digits, - and _.
	ID        string
	To        string // all, group:G, experiment:X, booking:B or user:P
	Title     string
	Questions []Question // one without an ID gets q and its number
}

// A Survey is a survey as it is now, without who said what.
type Survey struct {
	ID        string
	To        string
	Title     string
	Questions []Question
	By        lodge.PersonID
	OpenedAt  time.Time
	ClosedAt  time.Time // zero while it is open
	Answered  int       // how many people have answered
}

// Open reports whether the survey takes answers.
func (s Survey) Open() bool { return s.ClosedAt.IsZero() }

// A Tally is what a survey's answers add up to.
type Tally struct {
	Survey
	// Counts has, for each question but those of kind Text, how many chose each
	// option, or each number from 1.
	Counts map[string][]int
	// Texts has the answers to each question of kind Text, in the order in which
	// people first answered.
	Texts map[string][]string
}

// tally counts the answers of a survey.
func (s *state) tally() Tally {
	t := Tally{Survey: s.view(), Counts: map[string][]int{}, Texts: map[string][]string{}}
	for _, q := range s.Questions {
		switch q.Kind {
		case Single, Multiple:
			t.Counts[q.ID] = make([]int, len(q.Options))
		case Scale:
			t.Counts[q.ID] = make([]int, min(max(q.Max, 0), maxScale))
		case Text:
			t.Texts[q.ID] = []string{}
		}
	}
	for _, r := range s.ordered() {
		for _, q := range s.Questions {
			a, ok := r.Answers[q.ID]
			if !ok {
				continue
			}
			switch q.Kind {
			case Single, Multiple:
				for _, o := range a.Options {
					count(t.Counts[q.ID], o)
				}
			case Scale:
				count(t.Counts[q.ID], a.Number-1)
			case Text:
				t.Texts[q.ID] = append(t.Texts[q.ID], a.Text)
			}
		}
	}
	return t
}

// count adds one, unless the answer is none of the question's.
func count(counts []int, i int) {
	if i >= 0 && i < len(counts) {
		counts[i]++
	}
}

// ordered returns the responses in the order in which people first answered.
func (s *state) ordered() []*response {
	return slices.SortedFunc(maps.Values(s.Responses), func(a, b *response) int { return a.Order - b.Order })
}
