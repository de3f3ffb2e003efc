package attendance

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// topicRegisters is the internal topic of a tenant's registers.
const topicRegisters = "registers"

// Limits of a Draft.
const (
	maxTitle      = 200 // characters
	maxID         = 128 // bytes
	maxMembers    = 5000
	maxInterval   = 24 * time.Hour
	marksPerEntry = 500 // people in one entry, well below the largest message
)

// A Desk opens, keeps and closes registers. It is safe for concurrent use.
type Desk struct {
	keys   messaging.PersonKeys
	clock  lodge.Clock
	books  *messaging.Shelf[state]
	people People

	mu      sync.Mutex
	pending map[lodge.Tenant]waiting // guarded by mu
}

// NewDesk returns a desk on topics that seals what is known of members under their
// keys.
func NewDesk(topics *messaging.Topics, keys messaging.PersonKeys, clock lodge.Clock) *Desk {
	return &Desk{
		keys: keys, clock: clock, people: nobodyMerged, pending: make(map[lodge.Tenant]waiting),
		books: messaging.NewShelf(topics, fold, messaging.JSON[state]("registers/3", "registers/2", "registers/1"), 0),
	}
}

// Release gives back what the desk holds of its topics. Calls under way are to
// have ended.
func (d *Desk) Release() { d.books.Release() }

func (d *Desk) book(tenant lodge.Tenant) *messaging.Projection[state] {
	return d.books.Keep(tenant, topicRegisters)
}

// Open opens a register. Repeated with the ID and the title, group and opener
// of one that is there, it returns that; with others it is CodeConflict.
func (d *Desk) Open(ctx context.Context, tenant lodge.Tenant, by lodge.PersonID, draft Draft) (Register, error) {
	now := d.clock.Now().UTC()
	e, err := draft.entry(by, now)
	if err != nil {
		return Register{}, err
	}
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return Register{}, err
	}
	apologised, err := d.apologised(ctx, tenant, e.Register)
	if err != nil {
		return Register{}, err
	}
	keys, err := d.keysOf(ctx, tenant, slices.AppendSeq(apologised, maps.Keys(e.Members))...)
	if err != nil {
		return Register{}, err
	}
	marks := make(map[lodge.PersonID]mark, len(keys))
	sightings := draft.sightings(e.Start, e.End)
	for person, name := range e.Members {
		if keys[person] == nil {
			delete(e.Members, person) // erased
			continue
		}
		e.Members[person] = ""
		marks[person] = mark{Name: name}.with(sightings[person].mark())
	}
	first, err := e.message()
	if err != nil {
		return Register{}, err
	}
	err = d.book(tenant).Decide(ctx, func(s *state) ([]messaging.Message, error) {
		r := s.Registers[e.Register]
		switch {
		case r == nil:
			rest, err := marked(e.Register, s.Plans[e.Register].apologies(marks, merged, keys), keys)
			return append([]messaging.Message{first}, rest...), err
		case r.By != by || r.Title != e.Title || r.Group != e.Group:
			return nil, lodge.E(lodge.CodeConflict, "A different register was opened with that id; use a new one.")
		}
		return nil, nil
	})
	if err != nil {
		return Register{}, err
	}
	return d.Get(ctx, tenant, e.Register)
}

// entry checks and completes a draft.
func (draft Draft) entry(by lodge.PersonID, now time.Time) (entry, error) {
	e := entry{
		Kind: kindOpened, Register: draft.ID, At: now, By: by,
		Title: strings.TrimSpace(draft.Title), Group: draft.Group,
		Start: draft.Start.UTC(), End: draft.End.UTC(), Members: make(map[lodge.PersonID]string, len(draft.Members)),
		terms: terms{Late: draft.Late, Least: draft.Least, Room: draft.Room, Series: draft.series, Secret: newSecret(), Tells: true},
	}
	if e.Register == "" {
		e.Register = strings.ToLower(rand.Text())
	}
	if draft.Start.IsZero() {
		e.Start = now.Truncate(time.Hour)
	}
	if draft.End.IsZero() {
		e.End = e.Start.Add(time.Hour)
	}
	// One that is kept after its hour is closed by hand.
	e.Closes = e.End.After(now)
	for _, m := range draft.Members {
		if m.Person != "" {
			e.Members[m.Person] = m.Name
		}
	}
	if err := e.check(); err != nil {
		return entry{}, err
	}
	switch {
	case len(e.Members) == 0:
		return entry{}, lodge.E(lodge.CodeRefused, "The group has no members yet; open the register when somebody has joined it.")
	case len(e.Members) > maxMembers:
		return entry{}, lodge.E(lodge.CodeRefused, fmt.Sprintf("A register holds at most %d people; open one for each part of the group.", maxMembers))
	}
	return e, nil
}

// check returns why a register with these words, hour and rules cannot be.
func (e entry) check() error {
	refuse := func(safe string) error { return lodge.E(lodge.CodeRefused, safe) }
	switch {
	case len(e.Register) > maxID:
		return refuse("The register's id is too long.")
	case e.Title == "" || utf8.RuneCountInString(e.Title) > maxTitle:
		return refuse(fmt.Sprintf("A register needs a title of at most %d characters.", maxTitle))
	case e.Group == "":
		return refuse("A register needs a group.")
	case !e.Start.Before(e.End):
		return refuse("The register must end after it starts.")
	case e.End.Sub(e.Start) > maxInterval:
		return refuse("A register covers a day at most; open one for each day.")
	case e.Late < 0 || e.Least < 0 || e.Late > e.End.Sub(e.Start) || e.Least > e.End.Sub(e.Start):
		return refuse("After how long somebody is late, and how long they have to be there, cannot be longer than the hour itself.")
	}
	return nil
}

// sightings gathers what was seen before, by person.
func (draft Draft) sightings(start, end time.Time) map[lodge.PersonID]seen {
	all := make(map[lodge.PersonID]seen)
	for _, s := range draft.Sightings {
		n, ok := newSpan(s.From, s.To, start, end)
		if !ok || !slices.ContainsFunc(draft.Members, func(m Member) bool { return m.Person == s.Person }) {
			continue
		}
		who, ok := all[s.Person]
		if !ok {
			who = seen{Person: s.Person, Name: s.Name, Spans: make(map[Source]spans)}
			all[s.Person] = who
		}
		who.Spans[s.Source] = who.Spans[s.Source].add(n)
	}
	return all
}

// mark is what was seen, as a mark.
func (s seen) mark() mark { return mark{Name: s.Name, Spans: s.Spans} }

var (
	errUnknown = lodge.E(lodge.CodeNotFound, "There is no such register.")
	errClosed  = lodge.E(lodge.CodeConflict, "The register is closed.")
)

// Close closes a register: members without presence are absent from now
// on. It may be repeated; the first time counts.
func (d *Desk) Close(ctx context.Context, tenant lodge.Tenant, id string, by lodge.PersonID) (Register, error) {
	closing, err := entry{Kind: kindClosed, Register: id, At: d.clock.Now().UTC(), By: by}.message()
	if err != nil {
		return Register{}, err
	}
	waiting := d.waiting(tenant, id)
	keys, err := d.keysOf(ctx, tenant, slices.Collect(maps.Keys(waiting))...)
	if err != nil {
		return Register{}, err
	}
	err = d.book(tenant).Decide(ctx, func(s *state) ([]messaging.Message, error) {
		r := s.Registers[id]
		switch {
		case r == nil:
			return nil, errUnknown
		case !r.open():
			return nil, nil
		}
		last, err := marked(id, r.grown(waiting, keys), keys)
		return append(last, closing), err
	})
	if err != nil {
		return Register{}, err
	}
	d.forget(tenant, id)
	return d.Get(ctx, tenant, id)
}

// Get returns a register; CodeNotFound when there is none.
func (d *Desk) Get(ctx context.Context, tenant lodge.Tenant, id string) (Register, error) {
	found, err := d.read(ctx, tenant, func(s *state) []*register {
		if r := s.Registers[id]; r != nil {
			return []*register{r}
		}
		return nil
	})
	if err == nil && len(found) == 0 {
		err = errUnknown
	}
	if err != nil {
		return Register{}, err
	}
	return found[0], nil
}

// GroupOf returns the group of a register; CodeNotFound when there is none.
func (d *Desk) GroupOf(ctx context.Context, tenant lodge.Tenant, id string) (string, error) {
	group := ""
	err := d.book(tenant).View(ctx, func(s *state) {
		if r := s.Registers[id]; r != nil {
			group = r.Group
		} else if p := s.Plans[id]; p != nil {
			group = p.Group
		}
	})
	if err == nil && group == "" {
		err = errUnknown
	}
	return group, err
}

// List returns the registers of a tenant, newest first.
func (d *Desk) List(ctx context.Context, tenant lodge.Tenant) ([]Register, error) {
	all, err := d.read(ctx, tenant, func(s *state) []*register { return slices.Collect(maps.Values(s.Registers)) })
	slices.SortFunc(all, func(a, b Register) int { return newest(a.OpenedAt, b.OpenedAt, a.ID, b.ID) })
	return all, err
}

// newest orders registers by when they were opened, the newest first.
func newest(a, b time.Time, idA, idB string) int {
	return cmp.Or(b.Compare(a), strings.Compare(idA, idB))
}
