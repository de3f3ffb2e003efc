package attendance

import (
	"context"
	"maps"
	"slices"

	"github.com/lodge-gateway/lodge"
)

// People says who counts as whom in a tenant, now.
type People func(ctx context.Context, tenant lodge.Tenant) (lodge.Merged, error)

func nobodyMerged(context.Context, lodge.Tenant) (lodge.Merged, error) {
	return lodge.Merged{}, nil
}

// SetPeople sets who knows about merged persons; without it nobody is merged. It
// is for wiring, before the first call.
func (d *Desk) SetPeople(people People) { d.people = people }

// as returns the register with people as whom they count: whoever of those who
// are one was there makes them present. What is in the log stays: when they are
// taken apart again, each has their own mark.
func (r *register) as(m lodge.Merged) *register {
	if len(m) == 0 {
		return r
	}
	one := *r
	one.By = m.Of(r.By)
	one.Members = make(map[lodge.PersonID]*record, len(r.Members))
	for _, person := range slices.Sorted(maps.Keys(r.Members)) {
		counts := m.Of(person)
		one.Members[counts] = r.Members[person].with(one.Members[counts], person == counts)
	}
	return &one
}

// with returns a record and another as one; named says whose name is kept.
func (rec *record) with(other *record, named bool) *record {
	switch {
	case other == nil:
		return rec
	case named:
		return &record{mark: rec.mark.with(other.mark)}
	}
	return &record{mark: other.mark.with(rec.mark)}
}

// member returns under which id a register has a person, and what is known of
// them there: their own id, else that of the person they count as, else another
// one's who counts as the same; nil when there is none, or no register.
func (r *register) member(m lodge.Merged, person lodge.PersonID) (lodge.PersonID, *record) {
	if r == nil {
		return "", nil
	}
	for _, id := range append([]lodge.PersonID{person, m.Of(person)}, m.All(person)...) {
		if rec := r.Members[id]; rec != nil {
			return id, rec
		}
	}
	return "", nil
}

// A Marked is a person's mark in a register, as the log has it.
type Marked struct {
	Register string
	Title    string
	Mark     // Mark.Person is the id by which the register has them
}

// MarkedOf returns the marks of those of the given ids, register by register,
// newest first, each id by itself whoever is merged, and without those of people
// who were erased. Before them come registers that are planned, for which they
// apologised.
func (d *Desk) MarkedOf(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) ([]Marked, error) {
	keys, err := d.keys.Keys(ctx, tenant, people)
	if err != nil {
		return nil, err
	}
	var all []Marked
	err = d.book(tenant).View(ctx, func(s *state) {
		plans := slices.SortedFunc(maps.Values(s.Plans), func(a, b *plan) int { return newest(a.Start, b.Start, a.ID, b.ID) })
		for _, p := range plans {
			for _, person := range people {
				if rec := (&record{Sealed: p.Marks[person]}).opened(p.ID, keys[person]); p.Marks[person] != nil && rec != nil {
					all = append(all, Marked{Register: p.ID, Title: p.Title, Mark: rec.view(person, &register{Start: p.Start, End: p.End, terms: p.terms})})
				}
			}
		}
		registers := slices.SortedFunc(maps.Values(s.Registers), func(a, b *register) int { return newest(a.OpenedAt, b.OpenedAt, a.ID, b.ID) })
		for _, r := range registers {
			for _, person := range people {
				rec := r.Members[person]
				if rec == nil {
					continue
				}
				if rec = rec.opened(r.ID, keys[person]); rec != nil {
					all = append(all, Marked{Register: r.ID, Title: r.Title, Mark: rec.view(person, r)})
				}
			}
		}
	})
	return all, err
}
