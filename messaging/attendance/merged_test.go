package attendance

import (
	"context"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Whoever of the merged was there makes them present; what they do goes to the
// mark that the register has; taken apart, each has their own.
func TestMergedPeopleHaveOneMark(t *testing.T) {
	o := newOffice(t, newLog(t))
	merged := lodge.Merged{}
	o.SetPeople(func(context.Context, lodge.Tenant) (lodge.Merged, error) { return merged, nil })
	d := draft()
	d.Members = []Member{{"a", "Ada"}, {"b", "Ada L."}, {"c", "Carl"}}
	id := o.open(d).ID
	o.seen("a", FromExperiment, at(30), at(35))
	o.seen("b", FromExperiment, at(33), at(40))

	merged["b"] = "a"
	got := o.get(id)
	if len(got.Marks) != 2 {
		t.Fatalf("marks %+v, want one of the two and Carl's", got.Marks)
	}
	if m := o.mark(id, "a"); m.Name != "Ada" || m.State != Present || m.Seen != 10*time.Minute || !m.LastSeen.Equal(at(40)) {
		t.Errorf("the mark of both is %+v", m)
	}
	// Somebody who stands in it by the other's id alone.
	merged["c"] = "d"
	o.clock.set(41)
	if _, err := o.Confirm(o.ctx, "t", id, Coming{Person: "d"}); err != nil {
		t.Fatal(err)
	}
	o.seen("d", FromExperiment, at(42), at(44))
	if m := o.mark(id, "d"); m.State != Present || !m.Confirmed || m.Seen != 2*time.Minute {
		t.Errorf("who took Carl in has %+v", m)
	}
	if _, err := o.Confirm(o.ctx, "t", id, Coming{Person: "e"}); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Errorf("a stranger: %v", err)
	}
	clear(merged)
	for person, seen := range map[lodge.PersonID]time.Duration{"a": 5 * time.Minute, "b": 7 * time.Minute, "c": 2 * time.Minute} {
		if m := o.mark(id, person); m.Seen != seen || m.Confirmed != (person == "c") {
			t.Errorf("taken apart %s has %+v", person, m)
		}
	}
	marked, err := o.MarkedOf(o.ctx, "t", []lodge.PersonID{"a", "c", "nobody"})
	if err != nil || len(marked) != 2 || marked[0].Person != "a" || marked[1].State != Present || marked[0].Title != d.Title {
		t.Errorf("marks by id: %+v, %v", marked, err)
	}
}

// What somebody said before the hour, by whichever id of theirs, counts when it
// begins; until then it is theirs to read, to change and to take along.
func TestApologiesForWhatIsPlannedFollowTheMerged(t *testing.T) {
	o := newOffice(t, newLog(t))
	merged := lodge.Merged{}
	o.SetPeople(func(context.Context, lodge.Tenant) (lodge.Merged, error) { return merged, nil })
	if _, err := o.Plan(o.ctx, "t", "grace", Series{ID: "s", Title: "Lab", Group: "g", Start: at(60), Length: time.Hour, Times: 2}); err != nil {
		t.Fatal(err)
	}
	say := func(person lodge.PersonID, words string) {
		t.Helper()
		if err := o.Apologise(o.ctx, "t", "s-1", Coming{Person: person, Name: string(person), Joins: true}, words); err != nil {
			t.Fatal(err)
		}
	}
	said := func(person lodge.PersonID) string {
		t.Helper()
		plans, err := o.Plans(o.ctx, "t", person)
		if err != nil || len(plans) != 2 {
			t.Fatalf("%+v, %v", plans, err)
		}
		return plans[0].Apologies[person].Words
	}
	say("b", "I am ill.")
	merged["b"] = "a"
	if said("a") != "I am ill." || said("b") != "I am ill." || said("c") != "" {
		t.Errorf("they said %q, %q and %q", said("a"), said("b"), said("c"))
	}
	o.clock.set(31)
	say("a", "I am still ill.")
	marked, err := o.MarkedOf(o.ctx, "t", merged.All("a"))
	if err != nil || len(marked) != 1 || marked[0].Register != "s-1" || marked[0].State != Expected || marked[0].Apology.Words != "I am still ill." {
		t.Errorf("%+v, %v", marked, err)
	}
	o.clock.set(60)
	d := draft()
	d.ID, d.Start, d.End, d.Members = "s-1", at(60), at(120), []Member{{"a", "Ada"}, {"c", "Carl"}}
	o.open(d)
	if m := o.mark("s-1", "a"); m.Apology.Words != "I am still ill." || m.Name != "Ada" {
		t.Errorf("%+v", m)
	}
}
