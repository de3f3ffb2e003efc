package booking

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
)

func dur(d time.Duration) *Duration { return (*Duration)(&d) }

// diary makes facts about an experiment that is taken at some times.
func diary(p Policy, taken ...Interval) *facts {
	return &facts{
		now: at(0), policy: p, always: true,
		busy: func(within Interval) (out []Interval, err error) {
			for _, i := range merged(taken) {
				if i.Overlaps(within) {
					out = append(out, i)
				}
			}
			return out, nil
		},
	}
}

func TestRules(t *testing.T) {
	two := 2
	window := func(f *facts, open ...Interval) *facts {
		f.always, f.open = false, merged(open)
		return f
	}
	used := func(f *facts, live int, charged time.Duration) *facts {
		f.live, f.charged = live, charged
		return f
	}
	for name, c := range map[string]struct {
		facts *facts
		want  Interval
		rule  string
		offer *Interval
	}{
		"free":                      {diary(Policy{}), span(0, 5), "", nil},
		"back to back":              {diary(Policy{}, span(0, 10), span(15, 20)), span(10, 15), "", nil},
		"clash":                     {diary(Policy{}, span(0, 10)), span(9, 15), "clash", new(span(10, 16))},
		"clash, gap too short":      {diary(Policy{}, span(0, 10), span(12, 20)), span(5, 10), "clash", new(span(20, 25))},
		"unlimited":                 {diary(Policy{UnlimitedUsers: true}, span(0, 10)), span(0, 5), "", nil},
		"max_bookings":              {used(diary(Policy{MaxBookings: &two}), 2, 0), span(0, 5), "max_bookings", nil},
		"below max_bookings":        {used(diary(Policy{MaxBookings: &two}), 1, 0), span(0, 5), "", nil},
		"max_bookings before clash": {used(diary(Policy{MaxBookings: &two}, span(0, 9)), 2, 0), span(0, 5), "max_bookings", nil},
		"window":                    {window(diary(Policy{}), span(30, 60)), span(0, 5), "window", new(span(30, 35))},
		"across the window's end":   {window(diary(Policy{}), span(0, 10), span(20, 60)), span(8, 12), "window", new(span(20, 24))},
		"across touching intervals": {window(diary(Policy{}), span(0, 10), span(10, 60)), span(8, 12), "", nil},
		"window closed":             {window(diary(Policy{})), span(0, 5), "window", nil},
		"window before book_ahead":  {window(diary(Policy{BookAhead: dur(0)}), span(0, 10)), span(20, 25), "window", nil},
		"book_ahead":                {diary(Policy{BookAhead: dur(time.Hour)}), span(61, 66), "book_ahead", new(span(60, 65))},
		"at book_ahead":             {diary(Policy{BookAhead: dur(time.Hour)}), span(60, 65), "", nil},
		"past":                      {diary(Policy{}), span(-1, 4), "start_in_past", new(span(0, 5))},
		"past, allowed":             {diary(Policy{AllowStartInPast: dur(2 * time.Minute)}), span(-2, 4), "", nil},
		"too long past":             {diary(Policy{AllowStartInPast: dur(time.Minute)}), span(-2, 3), "allow_start_in_past_within", new(span(0, 5))},
		"starts_within":             {diary(Policy{StartsWithin: dur(time.Minute)}), span(2, 7), "starts_within", new(span(1, 6))},
		"starts_within, taken":      {diary(Policy{StartsWithin: dur(time.Minute)}, span(0, 9)), span(2, 7), "starts_within", nil},
		"next_available":            {diary(Policy{NextAvailable: dur(time.Minute)}, span(0, 10)), span(12, 17), "next_available", new(span(10, 15))},
		"next_available, soon":      {diary(Policy{NextAvailable: dur(2 * time.Minute)}, span(0, 10)), span(12, 17), "", nil},
		"next_available, small gap": {diary(Policy{NextAvailable: dur(0)}, span(0, 10), span(12, 20)), span(20, 25), "", nil},
		"max_usage":                 {used(diary(Policy{MaxUsage: dur(time.Hour)}), 0, 57*time.Minute), span(0, 5), "max_usage", new(span(0, 3))},
		"max_usage, all used":       {used(diary(Policy{MaxUsage: dur(time.Hour)}), 0, time.Hour), span(0, 5), "max_usage", nil},
		"max_usage, below shortest": {used(diary(Policy{MaxUsage: dur(time.Hour), MinDuration: dur(5 * time.Minute)}), 0, 57*time.Minute), span(0, 5), "max_usage", nil},
		"min_duration":              {diary(Policy{MinDuration: dur(5 * time.Minute)}), span(0, 4), "min_duration", new(span(0, 5))},
		"max_duration":              {diary(Policy{MaxDuration: dur(5 * time.Minute)}), span(0, 6), "max_duration", new(span(0, 5))},
		"max_duration before clash": {diary(Policy{MaxDuration: dur(5 * time.Minute)}, span(0, 9)), span(0, 6), "max_duration", new(span(9, 14))},
		"zero is enforced":          {diary(Policy{MaxDuration: dur(0)}), span(0, 6), "max_duration", nil},
		"inverted":                  {diary(Policy{}), span(5, 0), "interval", nil},
		"empty":                     {diary(Policy{}), span(5, 5), "interval", nil},
		"before the year 2000":      {diary(Policy{}), Interval{time.Time{}, at(5)}, "interval", nil},
		"after the year 9000":       {diary(Policy{}), Interval{at(5), time.Date(9001, 1, 1, 0, 0, 0, 0, time.UTC)}, "interval", nil},
	} {
		r, err := c.facts.check(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if r == nil || c.rule == "" {
			if r != nil || c.rule != "" {
				t.Errorf("%s: refused by %+v, want %q", name, r, c.rule)
			}
			continue
		}
		offer, err := c.facts.offer(r)
		if err != nil {
			t.Fatal(err)
		}
		if r.rule != c.rule || r.safe == "" {
			t.Errorf("%s: refused by %q (%s), want %q", name, r.rule, r.safe, c.rule)
		}
		if (offer == nil) != (c.offer == nil) || offer != nil && *offer != *c.offer {
			t.Errorf("%s: offer %v, want %v", name, offer, c.offer)
		}
		if want := lodge.CodeRefused; r.code != want && r.rule != "clash" || r.rule == "clash" && r.code != lodge.CodeConflict {
			t.Errorf("%s: code %s", name, r.code)
		}
	}
}

// Whatever is asked for: what is accepted is free and inside the window, and
// what is offered instead would be accepted.
func TestWhatIsOfferedIsAccepted(t *testing.T) {
	maybe := func(t *rapid.T, name string, most int) *Duration {
		if m := rapid.IntRange(-1, most).Draw(t, name); m >= 0 {
			return dur(time.Duration(m) * time.Minute)
		}
		return nil
	}
	rapid.Check(t, func(t *rapid.T) {
		taken := intervals(40).Draw(t, "taken")
		p := Policy{
			BookAhead: maybe(t, "book_ahead", 30), StartsWithin: maybe(t, "starts_within", 30), NextAvailable: maybe(t, "next", 5),
			AllowStartInPast: maybe(t, "past", 5), MinDuration: maybe(t, "min", 5), MaxDuration: maybe(t, "max", 20), MaxUsage: maybe(t, "usage", 60),
			UnlimitedUsers: rapid.Bool().Draw(t, "unlimited"),
		}
		f := diary(p, taken...)
		f.charged = time.Duration(rapid.IntRange(0, 60).Draw(t, "charged")) * time.Minute
		if rapid.Bool().Draw(t, "window") {
			f.always, f.open = false, merged(intervals(50).Draw(t, "open"))
		}
		start := rapid.IntRange(-8, 50).Draw(t, "start")
		want := span(start, start+rapid.IntRange(-2, 25).Draw(t, "length"))
		r, err := f.check(want)
		if err != nil {
			t.Fatal(err)
		}
		if r != nil {
			offer, err := f.offer(r)
			if err != nil || offer == nil {
				return
			}
			if r, err = f.check(*offer); r != nil || err != nil {
				t.Fatalf("offered %v is refused by %+v %v", offer, r, err)
			}
			want = *offer
		}
		for m := -10; m < 90; m++ {
			if now := at(m); covers([]Interval{want}, now) && (!p.UnlimitedUsers && covers(taken, now) || !f.always && !covers(f.open, now)) {
				t.Fatalf("%v is accepted, but not free at minute %d", want, m)
			}
		}
	})
}

func TestWordsOfDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", 5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Minute: "1h30m", 10 * time.Second: "10s", 10 * time.Minute: "10m",
	} {
		if got := words(d); got != want {
			t.Errorf("words(%v) = %q", d, got)
		}
	}
}
