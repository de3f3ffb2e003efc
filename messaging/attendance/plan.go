package attendance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// MaxTimes is how often a series may happen.
const MaxTimes = 52

// A Series is what registers are planned with: one, or one every week.
type Series struct {
	// ID makes planning repeatable, as a Draft's does.
	ID    string
	Title string
	Group string
	// Start is when the first one begins, in the zone whose clock the others follow:
	// ten o'clock stays ten o'clock when the clocks change.
	Start  time.Time
	Length time.Duration
	Times  int // 1 to MaxTimes, a week apart
	Rules
}

// A Planned is a register that is to open by itself.
type Planned struct {
	ID      string
	Title   string
	Group   string
	By      lodge.PersonID
	Start   time.Time
	End     time.Time
	Series  string
	Problem string // why it did not open when it was to
	Rules
	Apologies map[lodge.PersonID]Apology // of those who were asked about
}

// starts are when the registers of a series begin.
func (s Series) starts() []time.Time {
	all := make([]time.Time, s.Times)
	y, m, day := s.Start.Date()
	for i := range all {
		all[i] = time.Date(y, m, day+7*i, s.Start.Hour(), s.Start.Minute(), s.Start.Second(), 0, s.Start.Location())
	}
	return all
}

// Plan plans registers. Repeated with the ID it returns what is planned already.
func (d *Desk) Plan(ctx context.Context, tenant lodge.Tenant, by lodge.PersonID, series Series) ([]Planned, error) {
	if series.Times < 1 || series.Times > MaxTimes {
		return nil, lodge.E(lodge.CodeRefused, fmt.Sprintf("A series has 1 to %d registers.", MaxTimes))
	}
	if series.ID == "" {
		series.ID = strings.ToLower(rand.Text())
	}
	now := d.clock.Now().UTC()
	var msgs []messaging.Message
	var ids []string
	for i, start := range series.starts() {
		e := entry{
			Kind: kindPlanned, Register: fmt.Sprintf("%s-%d", series.ID, i+1), At: now, By: by, Title: strings.TrimSpace(series.Title), Group: series.Group,
			Start: start.UTC(), End: start.Add(series.Length).UTC(),
			terms: terms{Late: series.Late, Least: series.Least, Room: series.Room, Series: series.ID},
		}
		if err := e.check(); err != nil {
			return nil, err
		}
		if !e.End.After(now) {
			return nil, lodge.E(lodge.CodeRefused, "That hour is over; plan one that is still to come.")
		}
		m, err := e.message()
		if err != nil {
			return nil, err
		}
		msgs, ids = append(msgs, m), append(ids, e.Register)
	}
	known := false
	err := d.book(tenant).Decide(ctx, func(s *state) ([]messaging.Message, error) {
		known = slices.ContainsFunc(ids, func(id string) bool { return s.Plans[id] != nil || s.Registers[id] != nil })
		if known {
			return nil, nil
		}
		return msgs, nil
	})
	if err != nil {
		return nil, err
	}
	all, err := d.Plans(ctx, tenant, "")
	return slices.DeleteFunc(all, func(p Planned) bool { return !slices.Contains(ids, p.ID) }), err
}

// Plans returns the registers that are not open yet, the next first, with the
// apology of somebody where one is named.
func (d *Desk) Plans(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]Planned, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return nil, err
	}
	type mine struct {
		member lodge.PersonID
		rec    *record
	}
	all := map[string]mine{}
	var out []Planned
	if err := d.book(tenant).View(ctx, func(s *state) {
		for _, p := range s.Plans {
			out = append(out, p.view())
			member, rec := p.member(merged, person)
			all[p.ID] = mine{member, rec}
		}
	}); err != nil {
		return nil, err
	}
	if person != "" {
		keys, err := d.keys.Keys(ctx, tenant, merged.All(person))
		if err != nil {
			return nil, err
		}
		for i, p := range out {
			one := all[p.ID]
			if rec := one.rec.opened(p.ID, keys[one.member]); rec != nil {
				out[i].Apologies = map[lodge.PersonID]Apology{person: rec.Apology}
			}
		}
	}
	slices.SortFunc(out, func(a, b Planned) int { return newest(b.Start, a.Start, a.ID, b.ID) })
	return out, nil
}

// member returns under which id a plan has an apology of a person, and that: by
// whichever id they made it; else whom they count as, and nil.
func (p *plan) member(m lodge.Merged, person lodge.PersonID) (lodge.PersonID, *record) {
	for _, id := range m.All(person) {
		if one := p.Marks[id]; one != nil {
			return id, &record{Sealed: one}
		}
	}
	return m.Of(person), nil
}

func (p *plan) view() Planned {
	return Planned{ID: p.ID, Title: p.Title, Group: p.Group, By: p.By, Start: p.Start, End: p.End, Series: p.Series, Problem: p.Problem, Rules: p.rules()}
}

// Unplan takes a planned register back, and with rest those of its series that come
// after it.
func (d *Desk) Unplan(ctx context.Context, tenant lodge.Tenant, id string, rest bool) error {
	return d.book(tenant).Decide(ctx, func(s *state) ([]messaging.Message, error) {
		first := s.Plans[id]
		if first == nil {
			return nil, errUnknown
		}
		var msgs []messaging.Message
		for _, p := range s.Plans {
			if p.ID != id && (!rest || p.Series != first.Series || p.Start.Before(first.Start)) {
				continue
			}
			m, err := entry{Kind: kindUnplanned, Register: p.ID}.message()
			if err != nil {
				return nil, err
			}
			msgs = append(msgs, m)
		}
		return msgs, nil
	})
}

// Refused notes why a planned register could not open when it was to.
func (d *Desk) Refused(ctx context.Context, tenant lodge.Tenant, id, why string) error {
	m, err := entry{Kind: kindUnplanned, Register: id, Reason: why}.message()
	if err != nil {
		return err
	}
	return d.book(tenant).Append(ctx, m)
}

// Draft is the register that is planned, to be opened with the members it has by
// then.
func (p Planned) Draft() Draft {
	return Draft{ID: p.ID, Title: p.Title, Group: p.Group, Start: p.Start, End: p.End, Rules: p.Rules, series: p.Series}
}

// apologised are the ids by which people apologised before a register opened.
func (d *Desk) apologised(ctx context.Context, tenant lodge.Tenant, id string) (all []lodge.PersonID, err error) {
	err = d.book(tenant).View(ctx, func(s *state) {
		if p := s.Plans[id]; p != nil {
			all = slices.Collect(maps.Keys(p.Marks))
		}
	})
	return all, err
}

// apologies adds to first marks what their people said before the register opened,
// by whichever id of theirs.
func (p *plan) apologies(marks map[lodge.PersonID]mark, merged lodge.Merged, keys map[lodge.PersonID][]byte) map[lodge.PersonID]mark {
	if p == nil {
		return marks
	}
	marks = maps.Clone(marks)
	for person, one := range p.Marks {
		member := person
		first, is := marks[member]
		if !is {
			member = merged.Of(person)
			first, is = marks[member]
		}
		if rec := (&record{Sealed: one}).opened(p.ID, keys[person]); is && rec != nil {
			marks[member] = first.with(rec.mark)
		}
	}
	return marks
}

// What a group is told of.
const (
	Opened = "opened"
	Closed = "closed"
)

// change is what the group of a register is to know.
func (r *register) change() string {
	if r.open() {
		return Opened
	}
	return Closed
}

// A Due is what is to be done with a tenant's registers at a moment. Each of it can
// be done by any number of nodes: opening and closing may be repeated, and telling
// under one message id.
type Due struct {
	Open  []Planned  // whose time has come
	Close []Register // likewise, without marks
	Tell  []Register // whose group is to be told that they opened, or closed; likewise
	Next  time.Time  // when something else is due; zero: not before the list changes
}

// Due returns what is to be done now.
func (d *Desk) Due(ctx context.Context, tenant lodge.Tenant) (Due, error) {
	now := d.clock.Now()
	var due Due
	reached := func(at time.Time) bool {
		if at.After(now) && (due.Next.IsZero() || at.Before(due.Next)) {
			due.Next = at
		}
		return !at.After(now)
	}
	bare := func(r *register) Register {
		one := *r
		one.Members = nil
		return one.view()
	}
	err := d.book(tenant).View(ctx, func(s *state) {
		for _, p := range s.Plans {
			if p.Problem == "" && reached(p.Start) {
				due.Open = append(due.Open, p.view())
			}
		}
		for _, r := range s.Registers {
			if r.open() && r.Closes && reached(r.End) {
				due.Close = append(due.Close, bare(r))
			}
			if r.Tells && r.Told != r.change() {
				due.Tell = append(due.Tell, bare(r))
			}
		}
	})
	byID := func(a, b Register) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(due.Open, func(a, b Planned) int { return newest(b.Start, a.Start, a.ID, b.ID) })
	slices.SortFunc(due.Close, byID)
	slices.SortFunc(due.Tell, byID)
	return due, err
}

// Changed is sent to when there may be something else to do, as
// messaging.Projection's.
func (d *Desk) Changed(tenant lodge.Tenant) <-chan struct{} { return d.book(tenant).Changed() }

// Told notes that a register's group was told of a change.
func (d *Desk) Told(ctx context.Context, tenant lodge.Tenant, id, change string) error {
	return d.book(tenant).Decide(ctx, func(s *state) ([]messaging.Message, error) {
		r := s.Registers[id]
		if r == nil || r.Told == change || r.Told == Closed || !r.Tells {
			return nil, nil
		}
		m, err := entry{Kind: kindTold, Register: id, Told: change}.message()
		return []messaging.Message{m}, err
	})
}

// dropped are the entries that drop plans which came to nothing before a time.
func (s *state) dropped(before time.Time) ([]messaging.Message, error) {
	var msgs []messaging.Message
	var errs []error
	for id, p := range s.Plans {
		if p.End.Before(before) {
			m, err := entry{Kind: kindUnplanned, Register: id}.message()
			msgs, errs = append(msgs, m), append(errs, err)
		}
	}
	return msgs, errors.Join(errs...)
}
