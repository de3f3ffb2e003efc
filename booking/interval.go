package booking

import (
	"cmp"
	"slices"
	"time"
)

// An Interval is half open: Start belongs to it, End does not, so that what
// follows back to back does not overlap.
type Interval struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Length returns how long the interval is.
func (i Interval) Length() time.Duration { return i.End.Sub(i.Start) }

// Overlaps reports whether the two share a moment.
func (i Interval) Overlaps(o Interval) bool {
	return i.Start.Before(o.End) && o.Start.Before(i.End)
}

// Contains reports whether all of o lies inside i.
func (i Interval) Contains(o Interval) bool {
	return !o.Start.Before(i.Start) && !o.End.After(i.End)
}

func (i Interval) empty() bool { return !i.Start.Before(i.End) }

// merged returns the union of a list as disjoint, sorted intervals that do not
// touch. Empty ones vanish.
func merged(list []Interval) []Interval {
	list = slices.DeleteFunc(slices.Clone(list), Interval.empty)
	slices.SortFunc(list, func(a, b Interval) int { return cmp.Compare(a.Start.UnixNano(), b.Start.UnixNano()) })
	var out []Interval
	for _, i := range list {
		if n := len(out); n > 0 && !i.Start.After(out[n-1].End) {
			if i.End.After(out[n-1].End) {
				out[n-1].End = i.End
			}
			continue
		}
		out = append(out, i)
	}
	return out
}

// without returns from minus take; both must be as merged leaves them.
func without(from, take []Interval) []Interval {
	var out []Interval
	for _, i := range from {
		for len(take) > 0 && !take[0].End.After(i.Start) {
			take = take[1:]
		}
		for _, t := range take {
			if !t.Start.Before(i.End) {
				break
			}
			if i.Start.Before(t.Start) {
				out = append(out, Interval{i.Start, t.Start})
			}
			i.Start = t.End
			if i.empty() {
				break
			}
		}
		if !i.empty() {
			out = append(out, i)
		}
	}
	return out
}

// clipped returns the parts of a merged list that lie inside bounds.
func clipped(list []Interval, bounds Interval) []Interval {
	var out []Interval
	for _, i := range list {
		if i.Start.Before(bounds.Start) {
			i.Start = bounds.Start
		}
		if i.End.After(bounds.End) {
			i.End = bounds.End
		}
		if !i.empty() {
			out = append(out, i)
		}
	}
	return out
}

// open returns when the window lets bookings lie.
func (w Window) open() []Interval { return without(merged(w.Allowed), merged(w.Denied)) }
