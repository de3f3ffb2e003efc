// Package survey keeps surveys: questions that an instructor puts to an
// audience and that each person answers once.
//
// A survey is written as a draft, opened by hand or at a time, and takes answers
// until it is closed, by hand or at a time. Until then a person may change their
// answer, which replaces the earlier one: however often it is sent, by however
// many nodes, there is one answer a person. One that goes with each person's
// experiment (After) is put to whoever's booking ended while it is open; who that
// is, the caller knows.
//
// Who may know who said what is one of three modes. Identified: whoever conducts
// the survey sees names. Pseudonymous: they see one pseudonym a person, which is
// another in every survey; the store knows whose it is. Unlinkable: each person
// gets one ballot signed blindly (RFC 9474), and ballots come back from nobody in
// particular; nothing that is stored says whose they are (ballots.go).
//
// Each survey is folded from the entries of a sealed topic of its own, so that
// what races is decided by the log, the same on every node and after every
// restart; another topic lists a tenant's surveys and drafts. Both are internal:
// nobody reads them but through a Desk. What a person answered is sealed under the
// person's key (messaging.PersonKeys) in entries and in what they fold into: once
// that is erased it is only known that somebody answered. Ballots are nobody's, so
// erasing a person leaves them. Who may open, answer and read a survey is for the
// caller to know, as is telling the audience about it.
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
	Number   Kind = "number"   // any number from Lowest to Highest
	Short    Kind = "short"    // a line
	Text     Kind = "text"     // as many lines as it takes
)

// Chosen reports whether one answers by choosing among options.
func (k Kind) Chosen() bool { return k == Single || k == Multiple }

// Worded reports whether one answers in words.
func (k Kind) Worded() bool { return k == Short || k == Text }

// A Mode says who may know who said what.
type Mode string

// The modes. The empty one is Identified: surveys of before there were others.
const (
	Identified   Mode = "identified"
	Pseudonymous Mode = "pseudonymous"
	Unlinkable   Mode = "unlinkable"
)

// A Question is one question of a survey.
type Question struct {
	ID       string   `json:"id"`                // unique in its survey
	Section  string   `json:"section,omitempty"` // heading of the section that begins with it
	Kind     Kind     `json:"kind"`
	Text     string   `json:"text"`
	Options  []string `json:"options,omitempty"` // of Single and Multiple
	Max      int      `json:"max,omitempty"`     // of Scale
	Labels   []string `json:"labels,omitempty"`  // of Scale: one for each number, or for both ends
	Lowest   *float64 `json:"lowest,omitempty"`  // of Number: bounds, both may be reached
	Highest  *float64 `json:"highest,omitempty"`
	Required bool     `json:"required,omitempty"`
	// Correct is the right answer, shown once the results are released. A Number is
	// right within Tolerance of it; words are compared without case and spaces around.
	Correct   *Answer `json:"correct,omitempty"`
	Tolerance float64 `json:"tolerance,omitempty"`
}

func (q Question) equal(r Question) bool {
	return q.ID == r.ID && q.Section == r.Section && q.Kind == r.Kind && q.Text == r.Text && slices.Equal(q.Options, r.Options) &&
		q.Max == r.Max && slices.Equal(q.Labels, r.Labels) && same(q.Lowest, r.Lowest) && same(q.Highest, r.Highest) && q.Required == r.Required &&
		(q.Correct == nil) == (r.Correct == nil) && (q.Correct == nil || q.Correct.equal(*r.Correct)) && q.Tolerance == r.Tolerance
}

// same reports whether two numbers are the same, or both none.
func same(a, b *float64) bool { return a == b || a != nil && b != nil && *a == *b }

// An Answer is the answer to one question, in the field that goes with its
// kind. The zero Answer is none.
type Answer struct {
	Options []int    `json:"options,omitempty"` // Single, Multiple: indexes from 0
	Number  int      `json:"number,omitempty"`  // Scale
	Value   *float64 `json:"value,omitempty"`   // Number
	Text    string   `json:"text,omitempty"`    // Short, Text
}

func (a Answer) isZero() bool {
	return len(a.Options) == 0 && a.Number == 0 && a.Value == nil && a.Text == ""
}

func (a Answer) equal(b Answer) bool {
	return slices.Equal(a.Options, b.Options) && a.Number == b.Number && same(a.Value, b.Value) && a.Text == b.Text
}

// A Draft is a survey as it is written: what is asked, of whom, how and when. Its
// JSON is what drafts are kept as; Document is what leaves Lodge.
type Draft struct {
	// ID makes opening repeatable: the same draft by the same person gives the
	// same survey. Empty means a new one. It may have letters, digits, - and _.
	ID        string     `json:"id"`
	To        string     `json:"to,omitempty"` // all, group:G, experiment:X, booking:B or user:P; a draft may lack it
	Title     string     `json:"title"`
	Intro     string     `json:"intro,omitempty"` // said above the questions
	Mode      Mode       `json:"mode,omitempty"`
	Questions []Question `json:"questions"` // one without an ID gets q and its number
	// After puts it to each person when an experiment of theirs ends.
	After  bool      `json:"after,omitempty"`
	Closes time.Time `json:"closes,omitzero"` // zero: it is closed by hand
	// Small is how many have to have answered before results are shown, unless
	// people are named; see results.go. 0 means 1.
	Small int `json:"small,omitempty"`
}

// asksLike reports whether two drafts make the same survey.
func (d Draft) asksLike(o Draft) bool {
	return d.To == o.To && d.Title == o.Title && d.Intro == o.Intro && d.mode() == o.mode() && d.After == o.After &&
		d.Closes.Equal(o.Closes) && d.Small == o.Small && slices.EqualFunc(d.Questions, o.Questions, Question.equal)
}

// Copy is a draft that asks the same, of nobody yet.
func (d Draft) Copy() Draft {
	return Draft{Title: d.Title, Intro: d.Intro, Mode: d.mode(), Questions: clone(d.Questions), After: d.After}
}

func (d Draft) mode() Mode {
	if d.Mode == "" {
		return Identified
	}
	return d.Mode
}

// A Survey is a survey as it is now, without who said what.
type Survey struct {
	Draft
	By         lodge.PersonID
	OpenedAt   time.Time
	ClosedAt   time.Time // zero while it is open
	ReleasedAt time.Time // when those asked were first allowed to see the results; zero: not yet
	Answered   int       // how many people have answered
	PublicKey  []byte    // of Unlinkable: what ballots are signed with, as PKIX in DER
}

// Open reports whether the survey takes answers.
func (s Survey) Open() bool { return s.ClosedAt.IsZero() }

// Unlinkable reports whether it is answered by ballot.
func (s Survey) Unlinkable() bool { return s.Mode == Unlinkable }

// ordered returns the responses in the order in which people first answered.
func ordered(all map[lodge.PersonID]*response) []*response {
	return slices.SortedFunc(maps.Values(all), func(a, b *response) int { return a.Order - b.Order })
}
