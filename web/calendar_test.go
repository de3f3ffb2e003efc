package web

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDaysFollowTheClocks(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The clocks go back in the night to 25 October 2026.
	days := Days(time.Date(2026, 10, 23, 22, 30, 0, 0, time.UTC), 3, zone)
	for i, want := range []struct {
		date   string
		length time.Duration
	}{{"2026-10-24", 24 * time.Hour}, {"2026-10-25", 25 * time.Hour}, {"2026-10-26", 24 * time.Hour}} {
		if got := days[i]; got.Date() != want.date || got.End.Sub(got.Start) != want.length {
			t.Errorf("day %d: %s, %v", i, got.Date(), got.End.Sub(got.Start))
		}
	}
}

// A week of days shows each free moment once, and by the hour each slot once an
// hour, at a time at which it can begin.
func TestCalendarLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		days := Days(testNow, 7, time.UTC)
		days[rapid.IntRange(0, 6).Draw(t, "day")].Chosen = true
		slot := Slot{MaxSeconds: 1800}
		at, whole := testNow, 0
		for range rapid.IntRange(0, 6).Draw(t, "intervals") {
			start := at.Add(time.Duration(rapid.IntRange(1, 50000).Draw(t, "busy")) * time.Second)
			at = start.Add(time.Duration(rapid.IntRange(1, 50000).Draw(t, "free")) * time.Second)
			if at.After(days[6].End) {
				break
			}
			slot.Free = append(slot.Free, Interval{start, at})
			whole += int(at.Sub(start) / time.Second)
		}
		sum := 0
		for _, d := range days {
			sum += slot.On(d).FreeFor()
		}
		if sum != whole {
			t.Fatalf("%d seconds of %d", sum, whole)
		}
		b := Book{Layout: Layout{Now: testNow}, Days: days, Group: Group{Slots: []Slot{slot}}}
		starts := slot.On(b.Day()).Starts(testNow)
		for _, hour := range b.Hours() {
			if len(hour.Slots) != 1 || hour.Slots[0].Start.Before(hour.Start) || !hour.Slots[0].Start.Before(hour.Start.Add(time.Hour)) {
				t.Fatalf("hour %v: %v", hour.Start, hour.Slots)
			}
			found := false
			for _, s := range starts {
				found = found || s.Equal(hour.Slots[0].Start)
			}
			if !found {
				t.Fatalf("%v cannot begin", hour.Slots[0].Start)
			}
		}
	})
}
