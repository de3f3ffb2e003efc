package survey

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
)

// Laws of reading people as whom they count: one answer for those who are one,
// the latest of theirs; the ranks say which; and nothing of it changes what is
// folded, so that it can be taken apart again.
func TestTheLaterAnswerOfTheMergedCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := folded(history(rt, "", Identified))
		before := written(rt, s)
		m := lodge.Merged{}
		for _, from := range []lodge.PersonID{"b", "c", "d"} {
			if rapid.Bool().Draw(rt, "merged") {
				m[from] = "a"
			}
		}
		one := s.as(m)
		if written(rt, s) != before {
			rt.Fatal("reading changed what is folded")
		}
		everybody := []lodge.PersonID{"a", "b", "c", "d"}
		latest, rank, first := map[lodge.PersonID]*response{}, map[lodge.PersonID]int{}, map[lodge.PersonID]int{}
		for _, answered := range s.answeredBy(everybody) {
			into, r := m.Of(answered.Person), s.Responses[answered.Person]
			if latest[into] == nil || answered.Rank > rank[into] {
				latest[into], rank[into] = r, answered.Rank
			}
			if earliest, seen := first[into]; !seen || r.Order < earliest {
				first[into] = r.Order
			}
		}
		if len(one.Responses) != len(latest) || one.view().Answered != len(latest) {
			rt.Fatalf("%d responses of %d people", len(one.Responses), len(latest))
		}
		for person, r := range one.Responses {
			want := latest[person]
			if r.Person != person || !r.At.Equal(want.At) || r.Order != first[person] || written(rt, r.Answers) != written(rt, want.Answers) {
				rt.Fatalf("%s: %+v, want %+v at place %d", person, r, want, first[person])
			}
			for other, theirs := range s.Responses {
				if m.Of(other) == person && theirs.At.After(r.At) {
					rt.Fatalf("%s answered later than what counts", other)
				}
			}
		}
	})
}

func TestMergedPeopleAnswerOnce(t *testing.T) {
	d, _ := newDesk(t)
	merged := lodge.Merged{}
	d.SetPeople(func(context.Context, lodge.Tenant) (lodge.Merged, error) { return merged, nil })
	s := open(t, d, lesson())
	first := map[string]Answer{"how": {Options: []int{0}}}
	second := map[string]Answer{"how": {Options: []int{1}}}
	answer(t, d, s.ID, "a", first)
	answer(t, d, s.ID, "b", second)

	merged["b"] = "a"
	for _, person := range []lodge.PersonID{"a", "b"} {
		if mine, err := d.Mine(t.Context(), tenant, s.ID, person); err != nil || asJSON(t, mine) != asJSON(t, second) {
			t.Errorf("%s answered %v, %v, want the later answer", person, mine, err)
		}
	}
	if after := answer(t, d, s.ID, "a", second); after.Answered != 1 {
		t.Errorf("%d have answered", after.Answered)
	}
	delete(merged, "b") // and what a repeats as the one she was is not written again
	if mine, err := d.Mine(t.Context(), tenant, s.ID, "a"); err != nil || asJSON(t, mine) != asJSON(t, first) {
		t.Errorf("taken apart a has %v, %v, want her own", mine, err)
	}
	found, err := d.AnsweredBy(t.Context(), tenant, []lodge.PersonID{"b", "a", "nobody"})
	if err != nil || len(found) != 2 || found[0].Rank <= found[1].Rank {
		t.Errorf("answered: %+v, %v", found, err)
	}
	if people := []lodge.PersonID{found[0].Person, found[1].Person}; !slices.Equal(people, []lodge.PersonID{"b", "a"}) {
		t.Errorf("by %v", people)
	}
}
