package survey

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// topicIndex is the internal topic that lists a tenant's surveys.
const topicIndex = "surveys"

// keepIdle is how many surveys stay folded while nobody uses them.
const keepIdle = 64

func topicOf(id string) string { return "survey:" + id }

var errUnknown = lodge.E(lodge.CodeNotFound, "There is no such survey.")

// A Desk opens, keeps and closes surveys. It is safe for concurrent use.
type Desk struct {
	topics *messaging.Topics
	keys   messaging.PersonKeys
	clock  lodge.Clock
	shelf  *messaging.Shelf[state]
	lists  *messaging.Shelf[index]
	people People
}

// NewDesk returns a desk on topics that seals what people answer under their keys.
func NewDesk(topics *messaging.Topics, keys messaging.PersonKeys, clock lodge.Clock) *Desk {
	return &Desk{
		topics: topics, keys: keys, clock: clock, people: nobodyMerged,
		shelf: messaging.NewShelf(topics, fold, messaging.JSON[state]("survey/3", "survey/2", "survey/1"), keepIdle),
		lists: messaging.NewShelf(topics, foldIndex, messaging.JSON[index]("surveys/2", "surveys/1"), 0),
	}
}

// Release gives back what the desk holds of its topics. Calls under way are to
// have ended.
func (d *Desk) Release() {
	d.shelf.Release()
	d.lists.Release()
}

func (d *Desk) index(tenant lodge.Tenant) *messaging.Projection[index] {
	return d.lists.Keep(tenant, topicIndex)
}

// Open opens a survey; a rule that the draft breaks is CodeRefused. Repeated
// with the ID and the content of one by the same person, it returns that, also
// when an earlier try was cut off half way; with other content it is
// CodeConflict. The draft with that ID, if one is kept, is no draft any more.
func (d *Desk) Open(ctx context.Context, tenant lodge.Tenant, by lodge.Principal, draft Draft) (Survey, error) {
	e, err := draft.entry(by.Person, d.clock.Now().UTC())
	if err != nil {
		return Survey{}, err
	}
	var opened Survey
	err = d.shelf.With(tenant, topicOf(e.Survey), func(p *messaging.Projection[state]) error {
		there := false
		if err := p.View(ctx, func(s *state) { there = s.ID != "" }); err != nil {
			return err
		}
		if !there {
			if err := d.equip(ctx, tenant, &e); err != nil {
				return err
			}
		}
		err := p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			switch {
			case s.ID == "":
				return e.messages()
			case s.By != e.By || !s.asksLike(e.draft()):
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
	e.At, e.SealedKey, e.Pseudonyms = opened.OpenedAt, nil, nil // the first time counts; secrets stay where they belong
	return opened, d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if x.Surveys[e.Survey] != nil {
			return nil, nil
		}
		return e.messages()
	})
}

// equip adds the secrets that a survey's mode needs.
func (d *Desk) equip(ctx context.Context, tenant lodge.Tenant, e *entry) (err error) {
	switch e.Mode {
	case Unlinkable:
		if e.PublicKey, e.SealedKey, err = d.newKey(ctx, tenant, e.Survey); err != nil {
			return err
		}
		// The box is there before the first ballot, or its making would tell when
		// that came.
		err = d.boxOf(tenant, e.Survey).Update(ctx, func(old []byte) ([]byte, error) {
			if old != nil {
				return nil, nil
			}
			return json.Marshal(ballotBox{})
		})
	case Pseudonymous:
		e.Pseudonyms = []byte(rand.Text())
	}
	return err
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
			switch {
			case s.ID == "":
				return nil, errUnknown
			case s.Mode == Unlinkable:
				return nil, errByBallot
			}
			accepted, err := accept(s.Questions, answers)
			r := s.as(merged).Responses[merged.Of(person)]
			switch {
			case err == nil && r != nil && maps.EqualFunc(r.opened(id, keys).Answers, accepted, Answer.equal):
				return nil, nil
			case !s.takes(d.clock.Now()):
				return nil, errClosed
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

// with calls fn with the projection of a survey that is on the list, else it is
// CodeNotFound. So ids that somebody makes up cost little.
func (d *Desk) with(ctx context.Context, tenant lodge.Tenant, id string, fn func(*messaging.Projection[state]) error) error {
	if !d.shelf.Has(tenant, topicOf(id)) {
		there := false
		if err := d.index(tenant).View(ctx, func(x *index) { there = x.Surveys[id] != nil }); err != nil {
			return err
		}
		if !there {
			return errUnknown
		}
	}
	return d.shelf.With(tenant, topicOf(id), fn)
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
	if err != nil || !got.Unlinkable() {
		return got, err
	}
	box, err := d.box(ctx, tenant, id)
	got.Answered = len(box.Ballots)
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
			one := s.survey()
			one.By = merged.Of(s.By)
			all = append(all, one)
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
