package survey

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// topicIndex is the internal topic that lists a tenant's surveys.
const topicIndex = "surveys"

var errUnknown = lodge.E(lodge.CodeNotFound, "There is no such survey.")

// A Desk opens, keeps and closes surveys. It is safe for concurrent use.
type Desk struct {
	topics  *messaging.Topics
	keys    messaging.PersonKeys
	clock   lodge.Clock
	surveys *pool
	people  People

	mu      sync.Mutex
	indexes map[lodge.Tenant]*messaging.Projection[index] // guarded by mu
}

// NewDesk returns a desk on topics that seals what people answer under their keys.
func NewDesk(topics *messaging.Topics, keys messaging.PersonKeys, clock lodge.Clock) *Desk {
	return &Desk{
		topics: topics, keys: keys, clock: clock, surveys: newPool(topics), people: nobodyMerged,
		indexes: map[lodge.Tenant]*messaging.Projection[index]{},
	}
}

// Release gives back what the desk holds of its topics. Calls under way are to
// have ended.
func (d *Desk) Release() {
	d.surveys.release()
	d.mu.Lock()
	defer d.mu.Unlock()
	for tenant, p := range d.indexes {
		p.Close()
		delete(d.indexes, tenant)
	}
}

func (d *Desk) index(tenant lodge.Tenant) *messaging.Projection[index] {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.indexes[tenant]
	if p == nil {
		p = messaging.Project(d.topics, tenant, topicIndex, foldIndex, messaging.JSON[index]("surveys/1"))
		d.indexes[tenant] = p
	}
	return p
}

// Open opens a survey; a rule that the draft breaks is CodeRefused. Repeated
// with the ID and the content of one by the same person, it returns that, also
// when an earlier try was cut off half way; with other content it is
// CodeConflict.
func (d *Desk) Open(ctx context.Context, tenant lodge.Tenant, by lodge.Principal, draft Draft) (Survey, error) {
	e, err := draft.entry(by.Person, d.clock.Now().UTC())
	if err != nil {
		return Survey{}, err
	}
	var opened Survey
	err = d.surveys.with(tenant, e.Survey, func(p *messaging.Projection[state]) error {
		err := p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			switch {
			case s.ID == "":
				return e.messages()
			case s.By != e.By || s.To != e.To || s.Title != e.Title || !slices.EqualFunc(s.Questions, e.Questions, Question.equal):
				return nil, lodge.E(lodge.CodeConflict, "A different survey was opened with that id; use a new one.")
			}
			return nil, nil
		})
		if err != nil {
			return err
		}
		return p.View(ctx, func(s *state) { opened = s.view() })
	})
	if err != nil {
		return Survey{}, err
	}
	e.At = opened.OpenedAt // the first time counts
	return opened, d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if x.Surveys[e.Survey] != nil {
			return nil, nil
		}
		return e.messages()
	})
}

// messages is the one message that an entry makes.
func (e entry) messages() ([]messaging.Message, error) {
	m, err := e.message()
	if err != nil {
		return nil, err
	}
	return []messaging.Message{m}, nil
}

// Answer takes a person's answers, by question, in place of any they gave
// before. Repeated it changes nothing. CodeRefused names the question and what
// to do; after closing it is CodeConflict. name is shown in the CSV.
func (d *Desk) Answer(ctx context.Context, tenant lodge.Tenant, id string, person lodge.PersonID, name string, answers map[string]Answer) (Survey, error) {
	if person == "" {
		return Survey{}, lodge.E(lodge.CodeUnauthenticated, "Sign in to answer.")
	}
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return Survey{}, err
	}
	var after Survey
	err = d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		key, err := d.keyOf(ctx, tenant, person)
		if err != nil {
			return err
		}
		keys, err := d.keys.Keys(ctx, tenant, merged.All(person))
		if err != nil {
			return err
		}
		err = p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			if s.ID == "" {
				return nil, errUnknown
			}
			accepted, err := accept(s.Questions, answers)
			r := s.as(merged).Responses[merged.Of(person)]
			switch {
			case err == nil && r != nil && maps.EqualFunc(r.opened(id, keys).Answers, accepted, Answer.equal):
				return nil, nil
			case !s.open():
				return nil, lodge.E(lodge.CodeConflict, "The survey is closed; it takes no more answers.")
			case err != nil:
				return nil, err
			}
			sealed, err := said{Name: name, Answers: accepted}.seal(key, id)
			if err != nil {
				return nil, err
			}
			return entry{Kind: kindAnswered, Survey: id, At: d.clock.Now().UTC(), By: person, Sealed: sealed}.messages()
		})
		if err != nil {
			return err
		}
		return p.View(ctx, func(s *state) { after = s.as(merged).view() })
	})
	return after, err
}

// Close ends a survey: it takes no more answers. It may be repeated; the first
// time counts.
func (d *Desk) Close(ctx context.Context, tenant lodge.Tenant, id string, by lodge.Principal) (Survey, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return Survey{}, err
	}
	e := entry{Kind: kindClosed, Survey: id, At: d.clock.Now().UTC(), By: by.Person}
	var closed Survey
	err = d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		err := p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			switch {
			case s.ID == "":
				return nil, errUnknown
			case !s.open():
				return nil, nil
			}
			return e.messages()
		})
		if err != nil {
			return err
		}
		return p.View(ctx, func(s *state) { closed = s.as(merged).view() })
	})
	if err != nil {
		return Survey{}, err
	}
	e.At, e.Answered = closed.ClosedAt, closed.Answered
	return closed, d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if s := x.Surveys[id]; s == nil || !s.Open() {
			return nil, nil
		}
		return e.messages()
	})
}

// with calls fn with the projection of a survey that is on the list, else it is
// CodeNotFound. So ids that somebody makes up cost little.
func (d *Desk) with(ctx context.Context, tenant lodge.Tenant, id string, fn func(*messaging.Projection[state]) error) error {
	if !d.surveys.has(tenant, id) {
		there := false
		if err := d.index(tenant).View(ctx, func(x *index) { there = x.Surveys[id] != nil }); err != nil {
			return err
		}
		if !there {
			return errUnknown
		}
	}
	return d.surveys.with(tenant, id, fn)
}

// view shows fn a survey that is there, with people as whom they count.
func (d *Desk) view(ctx context.Context, tenant lodge.Tenant, id string, fn func(*state, lodge.Merged)) error {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return err
	}
	return d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		there := false
		err := p.View(ctx, func(s *state) {
			if there = s.ID != ""; there {
				fn(s.as(merged), merged)
			}
		})
		if err == nil && !there {
			err = errUnknown
		}
		return err
	})
}

// Get returns a survey; CodeNotFound when there is none.
func (d *Desk) Get(ctx context.Context, tenant lodge.Tenant, id string) (Survey, error) {
	var got Survey
	err := d.view(ctx, tenant, id, func(s *state, _ lodge.Merged) { got = s.view() })
	return got, err
}

// read returns a survey that is there, with people as whom they count and the
// answers of some of them, or of all, opened.
func (d *Desk) read(ctx context.Context, tenant lodge.Tenant, id string, people ...lodge.PersonID) (*state, lodge.Merged, error) {
	var one *state
	var merged lodge.Merged
	err := d.view(ctx, tenant, id, func(s *state, m lodge.Merged) { one, merged = s.apart(), m })
	if err != nil {
		return nil, nil, err
	}
	for i := range people {
		people[i] = merged.Of(people[i])
	}
	return one, merged, d.open(ctx, tenant, one, people...)
}

// Mine returns what a person answered, by question; nil when they did not.
func (d *Desk) Mine(ctx context.Context, tenant lodge.Tenant, id string, person lodge.PersonID) (map[string]Answer, error) {
	s, merged, err := d.read(ctx, tenant, id, person)
	if err != nil {
		return nil, err
	}
	return s.mine(merged.Of(person)), nil
}

// Tally counts a survey's answers. Those of people who were erased are no more
// than counted as answered.
func (d *Desk) Tally(ctx context.Context, tenant lodge.Tenant, id string) (Tally, error) {
	s, _, err := d.read(ctx, tenant, id)
	if err != nil {
		return Tally{}, err
	}
	return s.tally(), nil
}

// CSV writes who answered what, one line a person under a heading (RFC 4180,
// UTF-8, times RFC 3339 in UTC), without anything that a spreadsheet would take
// for a formula, and without people who were erased. Nothing is written unless the
// survey can be read.
func (d *Desk) CSV(ctx context.Context, tenant lodge.Tenant, id string, w io.Writer) error {
	s, _, err := d.read(ctx, tenant, id)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := s.writeCSV(&out); err != nil {
		return err
	}
	_, err = out.WriteTo(w)
	return err
}

// List returns the surveys of a tenant, newest first. How many have answered one
// that is closed is as it was then, whoever was merged since.
func (d *Desk) List(ctx context.Context, tenant lodge.Tenant) ([]Survey, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var all []Survey
	err = d.index(tenant).View(ctx, func(x *index) {
		for _, s := range x.Surveys {
			s := *s
			s.By = merged.Of(s.By)
			s.Questions = clone(s.Questions)
			all = append(all, s)
		}
	})
	if err != nil {
		return nil, err
	}
	for i, s := range all {
		if !s.Open() {
			continue
		}
		now, err := d.Get(ctx, tenant, s.ID)
		if errors.Is(err, errUnknown) {
			continue // it is being dropped
		}
		if err != nil {
			return nil, err
		}
		all[i] = now
	}
	slices.SortFunc(all, func(a, b Survey) int {
		if c := b.OpenedAt.Compare(a.OpenedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}
