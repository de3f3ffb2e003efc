package handin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// topicIndex is the internal topic that lists a tenant's hand-ins.
const topicIndex = "handins"

// keepIdle is how many hand-ins stay folded while nobody uses them.
const keepIdle = 64

func topicOf(id string) string { return "handin:" + id }

var errUnknown = lodge.E(lodge.CodeNotFound, "There is no such hand-in.")

// Options are what an installation decides about hand-ins.
type Options struct {
	// MaxTotal is the most that an instructor can allow one person to hand in at
	// once, in bytes; default 200 MiB.
	MaxTotal int64
	// Scan, if any, judges each file before it is taken.
	Scan Scanner
}

// A Desk opens and keeps hand-ins, takes work and grades it. It is safe for
// concurrent use.
type Desk struct {
	topics *messaging.Topics
	keys   messaging.PersonKeys
	files  Files
	clock  lodge.Clock
	opts   Options
	shelf  *messaging.Shelf[state]
	lists  *messaging.Shelf[index]
	people People

	mu   sync.Mutex
	busy map[uploader]int // uploads under way on this node; guarded by mu
}

// NewDesk returns a desk on topics that keeps contents in files and seals what
// people hand in under their keys.
func NewDesk(topics *messaging.Topics, keys messaging.PersonKeys, files Files, clock lodge.Clock, opts Options) *Desk {
	orDefault(&opts.MaxTotal, 200<<20)
	return &Desk{
		topics: topics, keys: keys, files: files, clock: clock, opts: opts, people: nobodyMerged, busy: map[uploader]int{},
		shelf: messaging.NewShelf(topics, fold, messaging.JSON[state]("handin/1"), keepIdle),
		lists: messaging.NewShelf(topics, foldIndex, messaging.JSON[index]("handins/1"), 0),
	}
}

// MaxTotal is the most that one person hands in at once, in bytes.
func (d *Desk) MaxTotal() int64 { return d.opts.MaxTotal }

// Release gives back what the desk holds of its topics. Calls under way are to
// have ended.
func (d *Desk) Release() {
	d.shelf.Release()
	d.lists.Release()
}

func (d *Desk) index(tenant lodge.Tenant) *messaging.Projection[index] {
	return d.lists.Keep(tenant, topicIndex)
}

// Open opens a hand-in; a rule that the draft breaks is CodeRefused. Repeated with
// the ID and the content of one by the same person, it returns that, also when an
// earlier try was cut off half way; with other content it is CodeConflict.
func (d *Desk) Open(ctx context.Context, tenant lodge.Tenant, by lodge.PersonID, draft Draft) (HandIn, error) {
	e, err := draft.entry(by, d.clock.Now().UTC(), d.opts.MaxTotal)
	if err != nil {
		return HandIn{}, err
	}
	var opened HandIn
	err = d.shelf.With(tenant, topicOf(e.HandIn), func(p *messaging.Projection[state]) error {
		err := p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			switch {
			case s.ID == "":
				return e.messages()
			case s.By != e.By || !s.Draft.equal(*e.Draft):
				return nil, lodge.E(lodge.CodeConflict, "A different hand-in was opened with that id; use a new one.")
			}
			return nil, nil
		})
		if err != nil {
			return err
		}
		return p.View(ctx, func(s *state) { opened = s.view() })
	})
	if err != nil {
		return HandIn{}, err
	}
	e.At = opened.OpenedAt // the first time counts
	return opened, d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if x.HandIns[e.HandIn] != nil {
			return nil, nil
		}
		return e.messages()
	})
}

// Close ends a hand-in: it takes no more work, and can still be graded. It may be
// repeated; the first time counts.
func (d *Desk) Close(ctx context.Context, tenant lodge.Tenant, id string, by lodge.PersonID) (HandIn, error) {
	e := entry{Kind: kindClosed, HandIn: id, At: d.clock.Now().UTC(), By: by}
	closed, err := d.decide(ctx, tenant, id, func(s *state) ([]messaging.Message, error) {
		if !s.ClosedAt.IsZero() {
			return nil, nil
		}
		return e.messages()
	})
	if err != nil {
		return HandIn{}, err
	}
	e.At = closed.ClosedAt
	return closed, d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if one := x.HandIns[id]; one == nil || !one.ClosedAt.IsZero() {
			return nil, nil
		}
		return e.messages()
	})
}

// view is a hand-in as the list has it.
func (l *listed) view(id string) HandIn {
	draft := l.Draft
	draft.ID = id
	return HandIn{Draft: draft, ID: id, By: l.By, OpenedAt: l.OpenedAt, ClosedAt: l.ClosedAt}
}

// decide lets fn decide on a hand-in that is there, with people by their own ids,
// and returns what it is then.
func (d *Desk) decide(ctx context.Context, tenant lodge.Tenant, id string, fn func(*state) ([]messaging.Message, error)) (HandIn, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return HandIn{}, err
	}
	var after HandIn
	err = d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		err := p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			if s.ID == "" {
				return nil, errUnknown
			}
			return fn(s)
		})
		if err != nil {
			return err
		}
		return p.View(ctx, func(s *state) { after = s.as(merged).view() })
	})
	return after, err
}

// with calls fn with the projection of a hand-in that is on the list, else it is
// CodeNotFound. So ids that somebody makes up cost little.
func (d *Desk) with(ctx context.Context, tenant lodge.Tenant, id string, fn func(*messaging.Projection[state]) error) error {
	if !d.shelf.Has(tenant, topicOf(id)) {
		there := false
		if err := d.index(tenant).View(ctx, func(x *index) { there = x.HandIns[id] != nil }); err != nil {
			return err
		}
		if !there {
			return errUnknown
		}
	}
	return d.shelf.With(tenant, topicOf(id), fn)
}

// read returns a hand-in that is there, with people as whom they count.
func (d *Desk) read(ctx context.Context, tenant lodge.Tenant, id string) (*state, lodge.Merged, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	var one *state
	err = d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		err := p.View(ctx, func(s *state) {
			if s.ID != "" {
				one = s.as(merged).apart()
			}
		})
		if err == nil && one == nil {
			err = errUnknown
		}
		return err
	})
	return one, merged, err
}

// Get returns a hand-in; CodeNotFound when there is none.
func (d *Desk) Get(ctx context.Context, tenant lodge.Tenant, id string) (HandIn, error) {
	s, _, err := d.read(ctx, tenant, id)
	if err != nil {
		return HandIn{}, err
	}
	return s.view(), nil
}

// List returns the hand-ins of a tenant, newest first.
func (d *Desk) List(ctx context.Context, tenant lodge.Tenant) ([]HandIn, error) {
	var ids []string
	err := d.index(tenant).View(ctx, func(x *index) {
		for id := range x.HandIns {
			ids = append(ids, id)
		}
	})
	var all []HandIn
	for _, id := range ids {
		if err != nil {
			return nil, err
		}
		var one HandIn
		if one, err = d.Get(ctx, tenant, id); errors.Is(err, errUnknown) {
			err = nil // it is being dropped
			continue
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b HandIn) int {
		if c := b.OpenedAt.Compare(a.OpenedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, err
}

// Mine returns what a person handed in, nil when they did not and have no grade.
// Their grade is with it once grades were released.
func (d *Desk) Mine(ctx context.Context, tenant lodge.Tenant, id string, person lodge.PersonID) (*Work, error) {
	s, merged, err := d.read(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if s.ReleasedAt.IsZero() {
		s.Grades = nil
	}
	all, err := d.open(ctx, tenant, s, merged.Of(person))
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// All returns what everybody handed in, by surname, with the grades given so far.
func (d *Desk) All(ctx context.Context, tenant lodge.Tenant, id string) ([]Work, error) {
	s, _, err := d.read(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return d.open(ctx, tenant, s)
}

// Grade gives somebody points and words for what they handed in, in place of any
// given before. It reports whether it changes what that person has seen. Repeated it
// changes nothing.
func (d *Desk) Grade(ctx context.Context, tenant lodge.Tenant, id string, person, by lodge.PersonID, points float64, words string) (corrected bool, err error) {
	points, words = hundredths(points), strings.TrimSpace(words)
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return false, err
	}
	person = merged.Of(person)
	key, err := d.keyOf(ctx, tenant, person)
	if err != nil {
		return false, err
	}
	keys, err := d.keys.Keys(ctx, tenant, merged.All(person))
	if err != nil {
		return false, err
	}
	_, err = d.decide(ctx, tenant, id, func(s *state) ([]messaging.Message, error) {
		if err := s.view().gradable(points, words); err != nil {
			return nil, err
		}
		counts, version := s.as(merged), 0
		if w := counts.Work[person]; w != nil {
			version = w.Version
		}
		if g := counts.Grades[person]; g != nil {
			var o opinion
			if unseal(keys[g.person], aboutGrade(id), g.Sealed, &o) && o == (opinion{points, words}) && g.Version == version {
				return nil, nil
			}
		}
		corrected = !s.ReleasedAt.IsZero()
		sealed, err := seal(key, aboutGrade(id), opinion{points, words})
		if err != nil {
			return nil, err
		}
		return entry{Kind: kindGraded, HandIn: id, At: d.clock.Now().UTC(), By: by, Person: person, Version: version, Sealed: sealed}.messages()
	})
	return corrected, err
}

// ReleaseGrades shows everybody their grade, those that are given later among them.
// It may be repeated; the first time counts. Without any grade it is CodeRefused.
func (d *Desk) ReleaseGrades(ctx context.Context, tenant lodge.Tenant, id string, by lodge.PersonID) (HandIn, error) {
	e := entry{Kind: kindReleased, HandIn: id, At: d.clock.Now().UTC(), By: by}
	return d.decide(ctx, tenant, id, func(s *state) ([]messaging.Message, error) {
		switch {
		case !s.ReleasedAt.IsZero():
			return nil, nil
		case len(s.Grades) == 0:
			return nil, refuse("Nobody has a grade yet; give some first.")
		}
		return e.messages()
	})
}

// ended is when a hand-in was over: closed, else past its deadline, else opened.
func (l *listed) ended() time.Time {
	last := l.OpenedAt
	for _, at := range []time.Time{l.Draft.Opens, l.Draft.Deadline} {
		if at.After(last) {
			last = at
		}
	}
	if !l.ClosedAt.IsZero() {
		last = l.ClosedAt
	}
	return last
}
