package web

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSpan(t *testing.T) {
	for seconds, want := range map[int]string{
		-5: "0 seconds", 0: "0 seconds", 45: "45 seconds", 60: "1 minute", 300: "5 minutes",
		3600: "1 hour", 5400: "1 hour 30 minutes", 7322: "2 hours 2 minutes 2 seconds",
	} {
		if got := (*Printer)(nil).span(seconds); got != want {
			t.Errorf("span(%d) = %q, want %q", seconds, got, want)
		}
	}
}

func TestDevice(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                                   "Chrome on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36":     "Samsung Internet on Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0":                                                    "Firefox on macOS",
		"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (X11; Linux x86_64) Something/1.0":                                                                                           "Unknown browser on Linux",
		"curl/8.5.0":                  "curl",
		"python-requests/2.32 extras": "python-requests",
		"":                            "Unknown device",
		"Mozilla/5.0 (compatible)":    "Unknown device",
		"\u202e\x00\xff/1":            "Unknown device",
		strings.Repeat("x", 300):      strings.Repeat("x", maxProduct),
	} {
		if got := DeviceName(agent); got != want {
			t.Errorf("DeviceName(%q) = %q, want %q", agent, got, want)
		}
	}
}

func TestBookingStanding(t *testing.T) {
	at := func(m int) time.Time { return testNow.Add(time.Duration(m) * time.Minute) }
	for _, c := range []struct {
		b    Booking
		want string
	}{
		{Booking{State: "booked", Start: at(-1), End: at(1)}, "under way"},
		{Booking{State: "booked", Start: at(0), End: at(1)}, "under way"},
		{Booking{State: "booked", Start: at(1), End: at(2)}, "coming"},
		{Booking{State: "booked", Start: at(-2), End: at(0)}, "ended"},
		{Booking{State: "cancelled", Start: at(-1), End: at(1)}, "cancelled"},
	} {
		if got := c.b.Standing(testNow); got != c.want {
			t.Errorf("%v to %v, %s: %q, want %q", c.b.Start, c.b.End, c.b.State, got, c.want)
		}
	}
}

func TestSlotOffersOnlyWhatCanBeBooked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Slot{MinSeconds: rapid.IntRange(0, 7200).Draw(t, "min"), MaxSeconds: rapid.SampledFrom([]int{0, 60, 300, 5400, 86400}).Draw(t, "max")}
		if s.MaxSeconds != 0 && s.MaxSeconds < s.MinSeconds {
			s.MaxSeconds = s.MinSeconds
		}
		at := testNow.Add(-time.Hour)
		for range rapid.IntRange(0, 5).Draw(t, "intervals") {
			start := at.Add(time.Duration(rapid.IntRange(1, 20000).Draw(t, "busy")) * time.Second)
			at = start.Add(time.Duration(rapid.IntRange(1, 200000).Draw(t, "free")) * time.Second)
			s.Free = append(s.Free, Interval{start, at})
		}
		fits := func(start time.Time) bool {
			return slices.ContainsFunc(s.Free, func(i Interval) bool {
				return !start.Before(i.Start) && !start.Add(s.shortest()).After(i.End)
			})
		}
		starts := s.Starts(testNow)
		if !slices.IsSortedFunc(starts, time.Time.Compare) || len(starts) > maxStarts {
			t.Fatalf("starts %v", starts)
		}
		for _, start := range starts {
			if !start.After(testNow) || !fits(start) {
				t.Fatalf("start %v is offered", start)
			}
		}
		if s.FreeNow(testNow) != fits(testNow) {
			t.Fatal("FreeNow is wrong")
		}
		offer := s.Lengths()
		if len(offer) == 0 || !slices.IsSorted(offer) || !slices.Contains(offer, s.DefaultLength()) {
			t.Fatalf("lengths %v, default %d", offer, s.DefaultLength())
		}
		for _, n := range offer {
			if n < s.MinSeconds || (s.MaxSeconds > 0 && n > s.MaxSeconds) {
				t.Fatalf("length %d is offered", n)
			}
		}
	})
}

// What a guide suggests is offered, the first of them first, unless the policy has
// no room for it.
func TestGuidesOfferLengths(t *testing.T) {
	for _, c := range []struct {
		guides []int
		first  int
	}{{nil, 300}, {[]int{240}, 240}, {[]int{7200, 420, 240}, 420}, {[]int{60}, 300}, {[]int{600, 600}, 600}} {
		s := Slot{MinSeconds: 180, MaxSeconds: 600, Guides: c.guides}
		offer := s.Lengths()
		if s.DefaultLength() != c.first || !slices.Contains(offer, c.first) || slices.Contains(offer, 7200) || !slices.IsSorted(offer) {
			t.Errorf("by %v: %v, first %d", c.guides, offer, s.DefaultLength())
		}
	}
}

func TestTallyBarsStayWithinTheirRail(t *testing.T) {
	q := Question{ID: "q", Kind: "scale", Max: 3, Labels: []string{"low", "high"}}
	got := Result{Question: q, Answered: 2, Counts: []int{5, 1}}.Bars() // more counts than people: several answers each
	want := []Bar{{"1 · low", 5, "100%", 100}, {"2", 1, "50%", 50}, {"3 · high", 0, "0%", 0}}
	if !slices.Equal(got, want) {
		t.Errorf("bars %v, want %v", got, want)
	}
	if bars := (Result{Question: q}).Bars(); len(bars) != 3 || bars[0].Count != 0 {
		t.Errorf("bars of no answers: %v", bars)
	}
}

// However numbers lie, each is in one bar.
func TestNumbersAreGatheredInBars(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOf(rapid.Float64Range(-1e6, 1e6)).Draw(rt, "values")
		slices.Sort(values)
		bars := Result{Question: Question{Kind: "number"}, Answered: len(values), Values: values}.Bars()
		n := 0
		for _, b := range bars {
			n += b.Count
		}
		if n != len(values) || len(bars) > maxBins {
			rt.Fatalf("%d of %d in %d bars", n, len(values), len(bars))
		}
	})
}
