package booking

import (
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Bounds of time that a register can hold. Outside them arithmetic on times and
// databases overflows, and nobody means what they ask for.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// horizon is how far ahead a free interval is looked for to offer it.
const horizon = 14 * 24 * time.Hour

// facts is what the rules are applied to.
type facts struct {
	now     time.Time
	policy  Policy
	open    []Interval // when the slot's window lets bookings lie; nil: always
	always  bool       // the slot has no window
	live    int        // the person's current and future bookings under the policy
	charged time.Duration
	atOnce  bool // the wish is to start now
	// busy returns what is taken of the experiment inside an interval, by start,
	// up to a limit that suits the caller.
	busy func(Interval) ([]Interval, error)
}

// check applies the rules in their order and returns the first that refuses,
// or nil. The order is the one people know from practable's booking.
func (f *facts) check(want Interval) (*refusal, error) {
	if r := wellFormed(want); r != nil {
		return r, nil
	}
	p := f.policy
	if p.MaxBookings != nil && f.live >= *p.MaxBookings {
		return refuse("max_bookings", *p.MaxBookings, fmt.Sprintf("You may hold %d bookings of this kind at a time; cancel one, or wait until one has ended.", *p.MaxBookings)), nil
	}
	if !f.inWindow(want) {
		r := refuse("window", nil, "The experiment cannot be booked at that time.")
		return f.nearest(r, want)
	}
	if r := f.checkStart(want); r != nil {
		return r, nil
	}
	if r, err := f.checkNextAvailable(want); r != nil || err != nil {
		return r, err
	}
	if r := f.checkLength(want, f.charged+want.Length()); r != nil {
		return r, nil
	}
	return f.checkDiary(want)
}

// checkExtension applies the rules that an extension can break: the new end.
func (f *facts) checkExtension(old Interval, end time.Time) (*refusal, error) {
	want := Interval{old.Start, end}
	if r := wellFormed(want); r != nil {
		return r, nil
	}
	if !f.inWindow(want) {
		r := refuse("window", nil, "The experiment cannot be booked for that long.")
		for _, o := range f.open {
			if o.Contains(old) {
				r.try(Interval{old.Start, o.End.Truncate(time.Second)})
			}
		}
		return r, nil
	}
	// f.charged holds the booking itself already.
	if r := f.checkLength(want, f.charged+want.Length()-old.Length()); r != nil {
		return r, nil
	}
	if f.policy.UnlimitedUsers {
		return nil, nil
	}
	busy, err := f.busy(Interval{old.End, end})
	if err != nil || len(busy) == 0 {
		return nil, err
	}
	r := &refusal{code: lodge.CodeConflict, rule: "clash", conflict: &busy[0], safe: "Somebody else has booked the experiment after you."}
	return r.try(Interval{old.Start, busy[0].Start}), nil
}

func wellFormed(want Interval) *refusal {
	switch {
	case want.Start.Before(earliest) || want.End.After(latest):
		return refuse("interval", nil, "That time is out of range; choose a date in this century.")
	case want.empty():
		return refuse("interval", nil, "The end must lie after the start.")
	}
	return nil
}

func (f *facts) inWindow(want Interval) bool {
	if f.always {
		return true
	}
	for _, o := range f.open {
		if o.Contains(want) {
			return true
		}
	}
	return false
}

// checkStart applies book_ahead, start in the past and starts_within.
func (f *facts) checkStart(want Interval) *refusal {
	p, ahead := f.policy, want.Start.Sub(f.now)
	move := func(to time.Time) Interval { return Interval{to, to.Add(want.Length())} }
	if p.BookAhead != nil && ahead > time.Duration(*p.BookAhead) {
		d := time.Duration(*p.BookAhead)
		return refuse("book_ahead", d, "Bookings are possible "+words(d)+" ahead at most; choose an earlier start.").
			try(move(f.now.Add(d).Truncate(time.Second)))
	}
	// Starts are whole seconds: the second under way counts as now.
	if ahead <= -time.Second && !f.atOnce {
		if p.AllowStartInPast == nil {
			return refuse("start_in_past", nil, "The start lies in the past; choose a later one.").try(move(ceil(f.now)))
		}
		if d := time.Duration(*p.AllowStartInPast); -ahead > d {
			return refuse("allow_start_in_past_within", d, "The start lies too far in the past; choose a later one.").try(move(ceil(f.now)))
		}
	}
	if p.StartsWithin != nil && ahead > time.Duration(*p.StartsWithin) {
		d := time.Duration(*p.StartsWithin)
		return refuse("starts_within", d, "Bookings must start within "+words(d)+"; choose an earlier start.").
			try(move(f.now.Add(d).Truncate(time.Second)))
	}
	return nil
}

func (f *facts) checkNextAvailable(want Interval) (*refusal, error) {
	if f.policy.NextAvailable == nil {
		return nil, nil
	}
	d := time.Duration(*f.policy.NextAvailable)
	first, err := f.firstFree(f.now.Truncate(time.Second), want.Length())
	if err != nil || first == nil || want.Start.Sub(first.Start) <= d {
		return nil, err
	}
	return refuse("next_available", d, "Bookings must start within "+words(d)+" of the first free time; choose an earlier start.").try(Interval{ceil(first.Start, f.now), ceil(first.Start, f.now).Add(want.Length())}), nil
}

// checkLength applies max_usage, min_duration and max_duration; usage is the
// person's if the wish came true.
func (f *facts) checkLength(want Interval, usage time.Duration) *refusal {
	p := f.policy
	resized := func(d time.Duration) Interval { return Interval{want.Start, want.Start.Add(d)} }
	if p.MaxUsage != nil && usage > time.Duration(*p.MaxUsage) {
		d := time.Duration(*p.MaxUsage)
		left := max(0, d-(usage-want.Length())).Truncate(time.Second)
		r := refuse("max_usage", d, "That is more than the "+words(d)+" you may use; you have "+words(left)+" left.")
		if left > 0 {
			r.try(resized(left))
		}
		return r
	}
	if p.MinDuration != nil && want.Length() < time.Duration(*p.MinDuration) {
		d := time.Duration(*p.MinDuration)
		return refuse("min_duration", d, "A booking must last "+words(d)+" at least.").try(resized(d))
	}
	if p.MaxDuration != nil && want.Length() > time.Duration(*p.MaxDuration) {
		d := time.Duration(*p.MaxDuration)
		return refuse("max_duration", d, "A booking may last "+words(d)+" at most.").try(resized(d))
	}
	return nil
}

// checkDiary refuses what is taken in part.
func (f *facts) checkDiary(want Interval) (*refusal, error) {
	if f.policy.UnlimitedUsers {
		return nil, nil
	}
	busy, err := f.busy(want)
	if err != nil || len(busy) == 0 {
		return nil, err
	}
	r := &refusal{
		code: lodge.CodeConflict, rule: "clash", conflict: &busy[0],
		safe: "Somebody else has the experiment at that time; choose another time.",
	}
	return f.nearest(r, want)
}

// nearest adds to a refusal the first free interval of the wish's length.
func (f *facts) nearest(r *refusal, want Interval) (*refusal, error) {
	start := want.Start
	if start.Before(f.now) {
		start = ceil(f.now)
	}
	free, err := f.firstFree(start, want.Length())
	if free != nil {
		r.try(*free)
	}
	return r, err
}

// firstFree returns the first interval of a length, from a time on, that the
// window allows and nobody has; nil when there is none within the horizon.
func (f *facts) firstFree(from time.Time, length time.Duration) (*Interval, error) {
	if length > horizon {
		return nil, nil
	}
	search := Interval{from, from.Add(horizon)}
	open := []Interval{search}
	if !f.always {
		open = clipped(f.open, search)
	}
	if !f.policy.UnlimitedUsers {
		busy, err := f.busy(search)
		if err != nil {
			return nil, err
		}
		// What was not listed is not known to be free.
		if len(busy) >= busyLimit {
			open = clipped(open, Interval{from, busy[len(busy)-1].End})
		}
		open = without(open, merged(busy))
	}
	for _, i := range open {
		if start := ceil(i.Start); i.End.Sub(start) >= length {
			return &Interval{start, start.Add(length)}, nil
		}
	}
	return nil, nil
}

// offer looks for a wish near want that every rule accepts, by following what
// each refusal suggests.
func (f *facts) offer(r *refusal) (*Interval, error) { return f.offerWith(r, f.check) }

// offerWith is offer for wishes that check decides on.
func (f *facts) offerWith(r *refusal, check func(Interval) (*refusal, error)) (*Interval, error) {
	for range 8 {
		if r.better == nil {
			return nil, nil
		}
		candidate := *r.better
		next, err := check(candidate)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return &candidate, nil
		}
		r = next
	}
	return nil, nil
}

// ceil returns the latest of times, rounded up to a whole second.
func ceil(times ...time.Time) time.Time {
	t := times[0]
	for _, o := range times[1:] {
		if o.After(t) {
			t = o
		}
	}
	if down := t.Truncate(time.Second); down.Before(t) {
		return down.Add(time.Second)
	}
	return t
}

// words writes a duration for people: 5m rather than 5m0s.
func words(d time.Duration) string {
	s := d.String()
	if len(s) > 2 && s[len(s)-2:] == "0s" && s[len(s)-3] == 'm' {
		s = s[:len(s)-2]
	}
	if len(s) > 2 && s[len(s)-2:] == "0m" && s[len(s)-3] == 'h' {
		s = s[:len(s)-2]
	}
	return s
}
