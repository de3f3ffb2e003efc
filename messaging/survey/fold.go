package survey

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// The kinds of entries.
const (
	kindOpened   = "opened"
	kindAnswered = "answered"
	kindClosed   = "closed"
	kindDropped  = "dropped" // in the list alone
)

// An entry is the body of one entry of a survey's topic, or of the list of
// surveys, which has no answers.
type entry struct {
	Kind   string         `json:"kind"`
	Survey string         `json:"survey"`
	At     time.Time      `json:"at"`
	By     lodge.PersonID `json:"by,omitempty"` // who opened, answered or closed it

	To        string     `json:"to,omitempty"` // opened, and so to Questions
	Title     string     `json:"title,omitempty"`
	Questions []Question `json:"questions,omitempty"`

	Sealed []byte `json:"sealed,omitempty"` // answered: what was said, under the key of By
	said          // answered, before answers were sealed

	Answered int `json:"answered,omitempty"` // closed, in the list
}

func (e entry) message() (messaging.Message, error) {
	body, err := json.Marshal(e)
	return messaging.Message{Body: body}, err
}

// state is what the entries of a survey's topic fold into. Before the survey is
// opened it is the zero state.
type state struct {
	ID        string                       `json:"id"`
	To        string                       `json:"to"`
	Title     string                       `json:"title"`
	Questions []Question                   `json:"questions"`
	By        lodge.PersonID               `json:"by"`
	OpenedAt  time.Time                    `json:"opened_at"`
	ClosedAt  time.Time                    `json:"closed_at,omitzero"`
	Responses map[lodge.PersonID]*response `json:"responses,omitempty"`
}

// A response is what one person answered.
type response struct {
	Person lodge.PersonID `json:"person"`
	At     time.Time      `json:"at"`    // of the answer that counts
	Order  int            `json:"order"` // among those who answered, by first answer

	// What was said, sealed under the key of by: said is empty until it is opened
	// for who reads it, and stays so once the person was erased.
	Sealed []byte `json:"sealed,omitempty"`
	said
	by lodge.PersonID // who answered, where Person is whom they count as
}

// fold applies one entry. What comes too early, too late or twice changes
// nothing, so of those who race the log's order decides. It applies none of the
// rules that a Desk did: they may change, what was accepted does not.
func fold(s *state, item messaging.Item) {
	var e entry
	if json.Unmarshal(item.Body, &e) != nil {
		return // of a kind that this version does not know
	}
	switch {
	case e.Kind == kindOpened && s.ID == "":
		s.begin(e)
	case e.Survey != s.ID || !s.open():
	case e.Kind == kindAnswered:
		s.answer(e)
	case e.Kind == kindClosed:
		s.ClosedAt = e.At
	}
}

// open reports whether the survey takes answers.
func (s *state) open() bool { return s.ID != "" && s.ClosedAt.IsZero() }

func (s *state) begin(e entry) {
	if e.Survey == "" {
		return
	}
	*s = state{ID: e.Survey, To: e.To, Title: e.Title, Questions: e.Questions, By: e.By, OpenedAt: e.At}
}

func (s *state) answer(e entry) {
	if e.By == "" {
		return
	}
	r := s.Responses[e.By]
	if r == nil {
		if s.Responses == nil {
			s.Responses = map[lodge.PersonID]*response{}
		}
		r = &response{Person: e.By, Order: len(s.Responses)}
		s.Responses[e.By] = r
	}
	r.At, r.Sealed, r.said = e.At, e.Sealed, e.said
}

// view returns what may be kept and shown.
func (s *state) view() Survey {
	return Survey{
		ID: s.ID, To: s.To, Title: s.Title, Questions: clone(s.Questions), By: s.By,
		OpenedAt: s.OpenedAt, ClosedAt: s.ClosedAt, Answered: len(s.Responses),
	}
}

func clone(questions []Question) []Question {
	all := slices.Clone(questions)
	for i := range all {
		all[i].Options = slices.Clone(all[i].Options)
	}
	return all
}

// mine returns a person's answers, or nil.
func (s *state) mine(person lodge.PersonID) map[string]Answer {
	r := s.Responses[person]
	if r == nil {
		return nil
	}
	answers := maps.Clone(r.Answers)
	for id, a := range answers {
		a.Options = slices.Clone(a.Options)
		answers[id] = a
	}
	return answers
}

// index is what the entries of a tenant's list of surveys fold into. That a
// survey is closed is noted in its own topic first: the index may lag behind.
type index struct {
	Surveys map[string]*Survey `json:"surveys"`
}

func foldIndex(x *index, item messaging.Item) {
	var e entry
	if json.Unmarshal(item.Body, &e) != nil {
		return
	}
	s := x.Surveys[e.Survey]
	switch {
	case e.Kind == kindOpened && s == nil && e.Survey != "":
		if x.Surveys == nil {
			x.Surveys = map[string]*Survey{}
		}
		x.Surveys[e.Survey] = &Survey{ID: e.Survey, To: e.To, Title: e.Title, Questions: e.Questions, By: e.By, OpenedAt: e.At}
	case e.Kind == kindClosed && s != nil && s.Open():
		s.ClosedAt, s.Answered = e.At, e.Answered
	case e.Kind == kindDropped:
		delete(x.Surveys, e.Survey)
	}
}
