package handin

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

// as returns the state with people as whom they count. Of the work and of the
// grades of those who are one the later counts. What is in the log stays: when they
// are taken apart again, each has their own.
func (s *state) as(m lodge.Merged) *state {
	one := *s
	one.By = m.Of(s.By)
	one.Work = make(map[lodge.PersonID]*work, len(s.Work))
	for _, w := range s.ordered() {
		counts := *w
		counts.Person, counts.by = m.Of(w.Person), w.Person
		if earlier := one.Work[counts.Person]; earlier != nil {
			if w.At.Before(earlier.At) {
				counts = *earlier
			}
			counts.Order = earlier.Order
		}
		one.Work[counts.Person] = &counts
	}
	one.Grades = make(map[lodge.PersonID]*graded, len(s.Grades))
	for _, person := range slices.Sorted(maps.Keys(s.Grades)) {
		counts := *s.Grades[person]
		counts.person = person
		if earlier := one.Grades[m.Of(person)]; earlier == nil || earlier.At.Before(counts.At) {
			one.Grades[m.Of(person)] = &counts
		}
	}
	return &one
}

// ordered returns the work in the order in which people first handed in.
func (s *state) ordered() []*work {
	return slices.SortedFunc(maps.Values(s.Work), func(a, b *work) int { return a.Order - b.Order })
}
