package survey

import (
	"bytes"
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
	kindIssued   = "issued" // a person was given their ballot
	kindShow     = "show"   // words may be shown to those asked, or no more
	kindReleased = "released"
	kindClosed   = "closed"
)

// An entry is the body of one entry of a survey's topic, or of the list of
// surveys, which has no answers.
type entry struct {
	Kind   string         `json:"kind"`
	Survey string         `json:"survey"`
	At     time.Time      `json:"at,omitzero"`
	By     lodge.PersonID `json:"by,omitempty"` // who opened, answered or closed it

	To        string     `json:"to,omitempty"` // opened, and so to Pseudonyms
	Title     string     `json:"title,omitempty"`
	Intro     string     `json:"intro,omitempty"`
	Mode      Mode       `json:"mode,omitempty"`
	Questions []Question `json:"questions,omitempty"`
	After     bool       `json:"after,omitempty"`
	Closes    time.Time  `json:"closes,omitzero"`
	Small     int        `json:"small,omitempty"`
	Tells     bool       `json:"tells,omitempty"` // it is noted when the audience was told
	PublicKey []byte     `json:"public_key,omitempty"`
	SealedKey []byte     `json:"sealed_key,omitempty"` // its private half; the list has it not
	// Pseudonyms is the secret that those of this survey are made with.
	Pseudonyms []byte `json:"pseudonyms,omitempty"`

	Sealed []byte `json:"sealed,omitempty"` // answered: what was said, under the key of By
	said          // answered, before answers were sealed

	Blinded []byte `json:"blinded,omitempty"` // issued: SHA-256 of what was signed

	Text string `json:"text,omitempty"` // show: which
	Show bool   `json:"show,omitempty"`

	Answered int `json:"answered,omitempty"` // closed, in the list

	Draft *Saved `json:"draft,omitempty"` // drafted, in the list
	Told  string `json:"told,omitempty"`  // told, in the list: of what
}

// draft is what was opened.
func (e entry) draft() Draft {
	return Draft{
		ID: e.Survey, To: e.To, Title: e.Title, Intro: e.Intro, Mode: e.Mode, Questions: e.Questions,
		After: e.After, Closes: e.Closes, Small: e.Small,
	}
}

func (e entry) message() (messaging.Message, error) {
	body, err := json.Marshal(e)
	return messaging.Message{Body: body}, err
}

// messages is the one message that an entry makes.
func (e entry) messages() ([]messaging.Message, error) {
	m, err := e.message()
	if err != nil {
		return nil, err
	}
	return []messaging.Message{m}, nil
}

// state is what the entries of a survey's topic fold into. Before the survey is
// opened it is the zero state.
type state struct {
	Draft
	By         lodge.PersonID               `json:"by"`
	OpenedAt   time.Time                    `json:"opened_at"`
	ClosedAt   time.Time                    `json:"closed_at,omitzero"`
	ReleasedAt time.Time                    `json:"released_at,omitzero"`
	Responses  map[lodge.PersonID]*response `json:"responses,omitempty"`

	PublicKey  []byte `json:"public_key,omitempty"`
	SealedKey  []byte `json:"sealed_key,omitempty"`
	Pseudonyms []byte `json:"pseudonyms,omitempty"`
	// Issued says who has their ballot, by the SHA-256 of what was signed.
	Issued map[lodge.PersonID][]byte `json:"issued,omitempty"`
	// Shown are the words that may be shown to those asked.
	Shown map[string]bool `json:"shown,omitempty"`

	// Of Pseudonymous: the responses that the results count while it is open, and
	// whose newer ones wait until they are enough; see step.
	Counted map[lodge.PersonID]*response `json:"counted,omitempty"`
	Waiting []lodge.PersonID             `json:"waiting,omitempty"`
}

// A response is what one person answered.
type response struct {
	Person  lodge.PersonID `json:"person"`
	At      time.Time      `json:"at"`                // of the answer that counts
	Order   int            `json:"order"`             // among those who answered, by first answer
	Version int            `json:"version,omitempty"` // how often it was changed

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
	case e.Survey != s.ID || s.ID == "":
	case e.Kind == kindShow:
		s.show(e)
	case e.Kind == kindReleased && s.ReleasedAt.IsZero():
		s.ReleasedAt = e.At
	case !s.open():
	case e.Kind == kindAnswered:
		s.answer(e)
	case e.Kind == kindIssued && s.Issued[e.By] == nil && e.By != "":
		if s.Issued == nil {
			s.Issued = map[lodge.PersonID][]byte{}
		}
		s.Issued[e.By] = e.Blinded
	case e.Kind == kindClosed:
		s.ClosedAt, s.SealedKey = e.At, nil
	}
}

// open reports whether the survey takes answers.
func (s *state) open() bool { return s.ID != "" && s.ClosedAt.IsZero() }

// takes reports whether it does at a time: one that closes at a time does so then,
// whenever somebody comes to write it down.
func (s *state) takes(now time.Time) bool {
	return s.open() && (s.Closes.IsZero() || now.Before(s.Closes))
}

func (s *state) begin(e entry) {
	if e.Survey == "" {
		return
	}
	*s = state{
		Draft: e.draft(), By: e.By, OpenedAt: e.At, PublicKey: e.PublicKey, SealedKey: e.SealedKey, Pseudonyms: e.Pseudonyms,
	}
}

func (s *state) answer(e entry) {
	if e.By == "" {
		return
	}
	next := response{Person: e.By, Order: len(s.Responses)}
	if r := s.Responses[e.By]; r != nil {
		if r.At.Equal(e.At) && bytes.Equal(r.Sealed, e.Sealed) {
			return
		}
		next.Order, next.Version = r.Order, r.Version+1
	}
	if s.Responses == nil {
		s.Responses = map[lodge.PersonID]*response{}
	}
	next.At, next.Sealed, next.said = e.At, e.Sealed, e.said
	s.Responses[e.By] = &next
	s.step(e.By)
}

// step moves on what the results of a pseudonymous survey count while it is open.
// Whoever compares them before and after sees the answers of Small people change
// together, never of one: at least that many always wait, so that closing, which
// counts them all, tells no more.
func (s *state) step(person lodge.PersonID) {
	if s.Mode != Pseudonymous {
		return
	}
	s.Waiting = slices.DeleteFunc(s.Waiting, func(p lodge.PersonID) bool { return p == person })
	s.Waiting = append(s.Waiting, person)
	if len(s.Waiting) < 2*s.small() {
		return
	}
	if s.Counted == nil {
		s.Counted = map[lodge.PersonID]*response{}
	}
	for _, p := range s.Waiting[:s.small()] {
		s.Counted[p] = s.Responses[p]
	}
	s.Waiting = slices.Delete(s.Waiting, 0, s.small())
}

func (s *state) small() int { return max(s.Small, 1) }

func (s *state) show(e entry) {
	if e.Text == "" {
		return
	}
	if !e.Show {
		delete(s.Shown, e.Text)
		return
	}
	if s.Shown == nil {
		s.Shown = map[string]bool{}
	}
	s.Shown[e.Text] = true
}

// view returns what may be kept and shown.
func (s *state) view() Survey {
	one := Survey{Draft: s.Draft, By: s.By, OpenedAt: s.OpenedAt, ClosedAt: s.ClosedAt, ReleasedAt: s.ReleasedAt, Answered: len(s.Responses), PublicKey: s.PublicKey}
	one.Mode, one.Questions = s.mode(), clone(s.Questions)
	return one
}

func clone(questions []Question) []Question {
	all := slices.Clone(questions)
	for i := range all {
		all[i].Options, all[i].Labels = slices.Clone(all[i].Options), slices.Clone(all[i].Labels)
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
