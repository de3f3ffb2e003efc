package attendance

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var genSpan = rapid.Custom(func(t *rapid.T) span {
	from := rapid.Int64Range(0, 300).Draw(t, "from")
	return span{From: from * 1e6, To: (from + rapid.Int64Range(0, 60).Draw(t, "length")) * 1e6}
})

func TestSpansAreTheSameInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(genSpan, 1, 12).Draw(t, "spans")
		var a, b spans
		for _, n := range list {
			a = a.add(n)
		}
		for _, n := range append(rapid.Permutation(list).Draw(t, "order"), list...) {
			b = b.add(n)
		}
		if !slices.Equal(a, b) {
			t.Fatalf("%v and %v", a, b)
		}
		for i, s := range a {
			if s.To < s.From || (i > 0 && s.From-a[i-1].To <= slack.Microseconds()) {
				t.Fatalf("not apart: %v", a)
			}
		}
		for _, n := range list {
			if !a.covers(n) {
				t.Fatalf("%v lacks %v", a, n)
			}
		}
	})
}

func TestSpansStayWithinTheInterval(t *testing.T) {
	start := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	end := start.Add(time.Hour)
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	for _, tt := range []struct {
		name     string
		from, to time.Time
		want     time.Duration
		ok       bool
	}{
		{"within", at(10), at(20), 10 * time.Minute, true},
		{"a moment", at(10), at(10), 0, true},
		{"around", at(-10), at(70), time.Hour, true},
		{"into", at(-10), at(5), 5 * time.Minute, true},
		{"out of", at(55), at(70), 5 * time.Minute, true},
		{"at the start", at(0), at(0), 0, true},
		{"until the start", at(-10), at(0), 0, false},
		{"from the end", at(60), at(70), 0, false},
		{"before", at(-20), at(-10), 0, false},
		{"after", at(61), at(70), 0, false},
		{"inverted", at(20), at(10), 0, false},
	} {
		n, ok := newSpan(tt.from, tt.to, start, end)
		if ok != tt.ok || (spans{n}).total() != tt.want {
			t.Errorf("%s: %v, %v", tt.name, spans{n}.total(), ok)
		}
	}
}
