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
		if err := d.glimpse(tx, look, span); err != nil {
			return err
		}
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

// diaries are what was found of a page's experiments, some in one look.
type diaries struct {
	tx     Tx
	look   Look
	span   Interval
	ahead  []string        // the experiments of the page, in the order they come up
	states map[string]bool // whether on-line; one that is not there is
	found  map[string]seen
}

// inOneLook is how many diaries one look reads: what one may hold, so often, is
// the most that is kept at a time.
const inOneLook = 32

// experimentsOf are those of some slots, each once.
func (s *snapshot) experimentsOf(slots []string) []string {
	var list []string
	known := map[string]bool{}
	for _, name := range slots {
		if one := s.cat.Slots[name].Experiment; !known[one] {
			known[one] = true
			list = append(list, one)
		}
	}
	return list
}

// glimpse reads ahead the beginning of a page.
func (d *Desk) glimpse(tx Tx, look Look, span Interval) error {
	d.mu.Lock()
	snap := d.cached[look.Tenant]
	d.mu.Unlock()
	return ahead(tx, func(tx Tx) {
		_, _ = tx.Revision(look.Tenant)
		_, _ = tx.ExperimentStates(look.Tenant)
		if snap != nil {
			names, _ := snap.page(look)
			list := snap.experimentsOf(names)
			_, _ = tx.Diaries(look.Tenant, list[:min(inOneLook, len(list))], span, availabilityLimit)
		}
	})
}

// of returns what is found of an experiment, after a look into its diary and those
// that come after it.
func (d *diaries) of(experiment string) (seen, error) {
	if found, ok := d.found[experiment]; ok {
		return found, nil
	}
	if d.states == nil {
		states, err := d.tx.ExperimentStates(d.look.Tenant)
		if err != nil {
			return seen{}, err
		}
		d.states = map[string]bool{}
		for _, s := range states {
			d.states[s.Experiment] = s.Online
		}
	}
	n := min(inOneLook, len(d.ahead))
	busy, err := d.tx.Diaries(d.look.Tenant, d.ahead[:n], d.span, availabilityLimit)
	if err != nil {
		return seen{}, err
	}
	for _, one := range d.ahead[:n] {
		online, set := d.states[one]
		d.found[one] = seenIn(busy[one], online || !set)
	}
	d.ahead = d.ahead[n:]
	return d.found[experiment], nil
}

func seenIn(busy []Interval, online bool) seen {
	found := seen{online: online}
	if len(busy) == availabilityLimit { // the rest is not known to be free
		found.known = busy[len(busy)-1].End
		busy = append(busy, Interval{found.known, latest})
	}
	found.busy = merged(busy)
	return found
}

// page returns the names of the slots that a page may have, and whether there are
// others after them.
func (s *snapshot) page(look Look) (names []string, more bool) {
	limit := look.Limit
	if limit <= 0 || limit > MaxSlots {
		limit = MaxSlots
	}
	names = s.slots[look.Group]
	names = names[sort.Search(len(names), func(i int) bool { return names[i] > look.After }):]
	return names[:min(limit, len(names))], len(names) > limit
}

func availability(tx Tx, snap *snapshot, look Look, span Interval, now time.Time) (AvailabilityPage, error) {
	names, more := snap.page(look)
	found := diaries{tx: tx, look: look, span: span, ahead: snap.experimentsOf(names), found: map[string]seen{}}
	page := AvailabilityPage{More: more}
	free := 0 // what the page holds: free intervals and suggestions
	for _, name := range names {
		if free >= MaxFree {
			page.More = true
			break
		}
		slot := snap.cat.Slots[name]
		diary, err := found.of(slot.Experiment)
		if err != nil {
			return AvailabilityPage{}, err
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
