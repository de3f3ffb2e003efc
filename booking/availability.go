package booking

import (
	"context"
	"sort"
	"time"

	"github.com/lodge-gateway/lodge"
)

// What bounds one answer to Availability.
const (
	// MaxSlots is how many slots a page has at most.
	MaxSlots = 200
	// MaxFree is how many free intervals and suggestions a page gathers before it
	// ends early.
	MaxFree = 10_000
	// maxSuggested is how many starts a guide suggests at most, whatever it says.
	maxSuggested = 100
	// maxAhead is how long the time asked about may be.
	maxAhead = 92 * 24 * time.Hour
	// availabilityLimit is how many bookings of one experiment are read: a booking
	// every three minutes for a fortnight.
	availabilityLimit = 6720
)

// A Look asks what a group can book between two times. Person and Service are for
// whom, since their overrides count; empty: for nobody in particular.
type Look struct {
	Tenant      lodge.Tenant
	Group       string
	From, Until time.Time
	Person      lodge.PersonID
	Service     string // the name of the service that asks for the person
	After       string // slots whose names come after this one; empty: from the first
	Limit       int    // slots at most; 0: MaxSlots
}

// An AvailabilityPage is what can be booked of some slots of a group, by their
// names. More says that there are others after the last one.
type AvailabilityPage struct {
	Slots []SlotAvailability
	More  bool
}

// A SlotAvailability is one slot of a group with what can be booked in it.
type SlotAvailability struct {
	Slot       string
	Policy     string
	Experiment string
	UISet      string
	Online     bool
	Min, Max   time.Duration // shortest and longest booking; 0: no rule
	StartBy    time.Time     // latest start the policy accepts; zero: no rule
	Free       []Interval
	// KnownUntil is where the answer ends for a diary with more bookings than one
	// look reads; zero: it holds for all that was asked for.
	KnownUntil  time.Time
	Suggestions []Suggestion // by the policy's display guides
}

// A Suggestion is what a display guide makes of a slot's free times: starts of
// bookings of one length, each of which would be accepted.
type Suggestion struct {
	Guide  string
	Label  string
	Length time.Duration
	Starts []time.Time
}

// Availability returns what a group can book between two times, slot by slot,
// many in one call. Intervals begin now at the earliest, and end where the policy
// lets the last booking end. The overrides of the person and the service count;
// what the person has booked already does not: max_bookings and max_usage are
// checked when booking. A page that would begin behind the last slot is empty.
func (d *Desk) Availability(ctx context.Context, look Look) (AvailabilityPage, error) {
	now := d.now()
	span := Interval{look.From.UTC(), look.Until.UTC()}
	if span.Start.Before(now) {
		span.Start = now.Truncate(time.Second)
	}
	if span.Length() > maxAhead {
		return AvailabilityPage{}, lodge.E(lodge.CodeRefused, "Availability is shown for up to 92 days; choose a shorter time.")
	}
	var who whom
	if look.Person != "" || look.Service != "" {
		var err error
		if who, err = d.whomFor(ctx, look.Tenant, look.Person, look.Service); err != nil {
			return AvailabilityPage{}, outward(err)
		}
	}
	var page AvailabilityPage
	err := d.store.View(ctx, func(tx Tx) error {
		snap, err := d.snapshot(tx, look.Tenant)
		if err != nil {
			return err
		}
		if _, ok := snap.cat.Groups[look.Group]; !ok {
			return lodge.E(lodge.CodeNotFound, "There is no such group.")
		}
		page, err = availability(tx, snap.as(who), look, span, now)
		return err
	})
	return page, outward(err)
}

// A seen is what one look found in an experiment's diary.
type seen struct {
	busy   []Interval
	known  time.Time // zero: all of it
	online bool
}

func lookInto(tx Tx, t lodge.Tenant, experiment string, span Interval) (seen, error) {
	state, err := stateOf(tx, t, experiment)
	if err != nil {
		return seen{}, err
	}
	found := seen{online: state.Online}
	busy, err := tx.Busy(t, experiment, "", span, availabilityLimit)
	if err != nil {
		return seen{}, err
	}
	if len(busy) == availabilityLimit { // the rest is not known to be free
		found.known = busy[len(busy)-1].End
		busy = append(busy, Interval{found.known, latest})
	}
	found.busy = merged(busy)
	return found, nil
}

func availability(tx Tx, snap *snapshot, look Look, span Interval, now time.Time) (AvailabilityPage, error) {
	limit := look.Limit
	if limit <= 0 || limit > MaxSlots {
		limit = MaxSlots
	}
	names := snap.cat.SlotsOf(look.Group)
	names = names[sort.Search(len(names), func(i int) bool { return names[i] > look.After }):]
	diaries := map[string]seen{}
	var page AvailabilityPage
	free := 0 // what the page holds: free intervals and suggestions
	for i, name := range names {
		if i == limit || free >= MaxFree {
			page.More = true
			break
		}
		slot := snap.cat.Slots[name]
		diary, ok := diaries[slot.Experiment]
		if !ok {
			var err error
			if diary, err = lookInto(tx, look.Tenant, slot.Experiment, span); err != nil {
				return AvailabilityPage{}, err
			}
			diaries[slot.Experiment] = diary
		}
		f := &facts{now: now, policy: snap.cat.Policies[slot.Policy], always: slot.Window == "", open: snap.open[slot.Window]}
		f.busy = func(within Interval) ([]Interval, error) {
			return tx.Busy(look.Tenant, slot.Experiment, "", within, busyLimit)
		}
		a := slotAvailability(f, span, diary)
		a.Slot, a.Policy, a.Experiment, a.UISet = name, slot.Policy, slot.Experiment, slot.UISet
		for _, guide := range f.policy.Guides {
			s, err := f.suggest(snap.cat.Guides[guide], a)
			if err != nil {
				return AvailabilityPage{}, err
			}
			s.Guide = guide
			a.Suggestions = append(a.Suggestions, s)
			free += len(s.Starts)
		}
		free += len(a.Free)
		page.Slots = append(page.Slots, a)
	}
	return page, nil
}

// slotAvailability is what can be booked of a slot whose diary was looked into.
func slotAvailability(f *facts, span Interval, diary seen) SlotAvailability {
	p := f.policy
	a := SlotAvailability{Online: diary.online}
	if p.MinDuration != nil {
		a.Min = time.Duration(*p.MinDuration)
	}
	if p.MaxDuration != nil {
		a.Max = time.Duration(*p.MaxDuration)
	}
	for _, rule := range []*Duration{p.BookAhead, p.StartsWithin} {
		if rule != nil {
			if by := f.now.Add(time.Duration(*rule)); a.StartBy.IsZero() || by.Before(a.StartBy) {
				a.StartBy = by
			}
		}
	}
	// The last booking starts by StartBy and lasts Max; without a longest length
	// its end is open.
	if last := a.StartBy.Add(a.Max); !a.StartBy.IsZero() && a.Max > 0 && last.Before(span.End) {
		span.End = last
	}
	free := []Interval{span}
	if !f.always {
		free = f.open
	}
	if !p.UnlimitedUsers {
		free = without(free, diary.busy)
		if diary.known.Before(span.End) {
			a.KnownUntil = diary.known
		}
	}
	for _, i := range clipped(free, span) {
		if i.Length() >= a.Min && (a.StartBy.IsZero() || !i.Start.After(a.StartBy)) {
			a.Free = append(a.Free, i)
		}
	}
	return a
}

// suggest returns the starts that a display guide makes of what is free: one after
// another from the beginning of each free interval, or the next whole minute from
// now, so that what is suggested is still to come when it is chosen. A guide
// whose length the policy refuses suggests nothing.
func (f *facts) suggest(g Guide, a SlotAvailability) (Suggestion, error) {
	length := time.Duration(g.Duration)
	s := Suggestion{Label: g.Label, Length: length}
	if length <= 0 || length < a.Min || (f.policy.MaxDuration != nil && length > a.Max) {
		return s, nil
	}
	by := f.now.Add(time.Duration(g.BookAhead))
	if !a.StartBy.IsZero() && a.StartBy.Before(by) {
		by = a.StartBy
	}
	if d := f.policy.NextAvailable; d != nil {
		first, err := f.firstFree(f.now.Truncate(time.Second), length)
		if err != nil {
			return s, err
		}
		if first != nil && first.Start.Add(time.Duration(*d)).Before(by) {
			by = first.Start.Add(time.Duration(*d))
		}
	}
	most := min(g.MaxSlots, maxSuggested)
	for _, i := range a.Free {
		start := ceil(i.Start)
		if !start.After(f.now) {
			start = f.now.Truncate(time.Minute).Add(time.Minute)
		}
		for ; len(s.Starts) < most && !start.After(by) && !start.Add(length).After(i.End); start = start.Add(length) {
			s.Starts = append(s.Starts, start)
		}
	}
	return s, nil
}
