package booking

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var day = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

// at returns the time m minutes into the day of the tests.
func at(m int) time.Time { return day.Add(time.Duration(m) * time.Minute) }

func span(from, until int) Interval { return Interval{at(from), at(until)} }

func intervals(maxStart int) *rapid.Generator[[]Interval] {
	one := rapid.Custom(func(t *rapid.T) Interval {
		start := rapid.IntRange(0, maxStart).Draw(t, "start")
		return span(start, start+rapid.IntRange(-3, 12).Draw(t, "length"))
	})
	return rapid.SliceOfN(one, 0, 8)
}

// covers reports whether a moment lies in one of a list.
func covers(list []Interval, m time.Time) bool {
	for _, i := range list {
		if !m.Before(i.Start) && m.Before(i.End) {
			return true
		}
	}
	return false
}

func TestIntervalSetsMomentByMoment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := intervals(40).Draw(t, "a"), intervals(40).Draw(t, "b")
		bounds := span(10, 30)
		union, less, cut := merged(a), without(merged(a), merged(b)), clipped(merged(a), bounds)
		for m := -1; m < 60; m++ {
			now := at(m)
			if covers(union, now) != covers(a, now) {
				t.Fatalf("merged differs at %d: %v", m, union)
			}
			if want := covers(a, now) && !covers(b, now); covers(less, now) != want {
				t.Fatalf("without differs at %d: %v", m, less)
			}
			if want := covers(a, now) && covers([]Interval{bounds}, now); covers(cut, now) != want {
				t.Fatalf("clipped differs at %d: %v", m, cut)
			}
		}
		for _, list := range [][]Interval{union, less, cut} {
			for i := range list {
				if list[i].empty() || i > 0 && !list[i-1].End.Before(list[i].Start) {
					t.Fatalf("not disjoint and sorted: %v", list)
				}
			}
		}
	})
}

func TestBackToBackDoesNotOverlap(t *testing.T) {
	if span(0, 5).Overlaps(span(5, 10)) || span(5, 10).Overlaps(span(0, 5)) {
		t.Error("back-to-back intervals overlap")
	}
	if !span(0, 5).Overlaps(span(4, 10)) || !span(0, 10).Overlaps(span(4, 5)) {
		t.Error("overlapping intervals do not")
	}
}
