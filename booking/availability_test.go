package booking

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A fullDiary answers as a store does in which an experiment is taken for a minute
// of every two, so many times.
type fullDiary struct {
	Tx
	bookings int
}

func (fullDiary) ExperimentStates(lodge.Tenant) ([]ExperimentState, error) { return nil, nil }

func (d fullDiary) Diaries(_ lodge.Tenant, experiments []string, within Interval, limit int) (map[string][]Interval, error) {
	var list []Interval
	for i := range d.bookings {
		if one := span(2*i, 2*i+1); one.Overlaps(within) && len(list) < limit {
			list = append(list, one)
		}
	}
	return map[string][]Interval{experiments[0]: list}, nil
}

// An answer is bounded for diaries of any length: what was not read is not said to
// be free, and the page ends early.
func TestAvailabilityIsBounded(t *testing.T) {
	const bookings = availabilityLimit + 10
	slot := Slot{Experiment: "x", Policy: "p", UISet: "u"}
	snap := newSnapshot(1, &Catalogue{
		Policies: map[string]Policy{"p": {}}, Slots: map[string]Slot{"a": slot, "b": slot, "c": slot}, Groups: map[string]Group{"g": {Policies: []string{"p"}}},
	})
	look := func(from time.Time) AvailabilityPage {
		page, err := availability(fullDiary{bookings: bookings}, snap, Look{Group: "g"}, Interval{from, at(2 * bookings)}, at(0))
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	page := look(at(0))
	if len(page.Slots) != 2 || !page.More || page.Slots[1].Slot != "b" {
		t.Fatalf("%d slots, more %v", len(page.Slots), page.More)
	}
	known := page.Slots[0].KnownUntil
	for _, s := range page.Slots {
		if last := s.Free[len(s.Free)-1]; !s.KnownUntil.Equal(at(2*availabilityLimit-1)) || last.End.After(known) || len(s.Free) > availabilityLimit {
			t.Errorf("%s is free %d times, at last %v, known until %v", s.Slot, len(s.Free), last, s.KnownUntil)
		}
	}
	if page = look(known); len(page.Slots) != 3 || page.More || len(page.Slots[0].Free) != 11 || !page.Slots[0].KnownUntil.IsZero() {
		t.Errorf("from %v on: %d slots, free %+v", known, len(page.Slots), page.Slots[0].Free)
	}
}
