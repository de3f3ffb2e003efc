package booking

import (
	"fmt"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Choice is what becomes of a booking that a change of the catalogue touches.
type Choice string

// The choices.
const (
	Keep     Choice = "keep"   // it stands as it was made
	MoveIt   Choice = "move"   // to an equivalent experiment of the pool, at the same time
	CancelIt Choice = "cancel" // with a message to its person
)

// reach orders choices: of those that several objects bring, the one that
// reaches furthest counts.
var reach = map[Choice]int{Keep: 1, MoveIt: 2, CancelIt: 3}

// ParseChoice reads a choice; ok is false for what is none.
func ParseChoice(s string) (c Choice, ok bool) {
	c = Choice(s)
	return c, reach[c] > 0
}

// A Touch is a live or future booking that a change touches: what it stands on
// goes, or no longer allows it.
type Touch struct {
	Booking Booking
	Because []Because
	Can     []Choice // what can be chosen for it, keep before move before cancel
	MoveTo  string   // the experiment it would be moved to; empty: none is free
}

// A Because is what an object does to a booking, in words that follow the
// object's name.
type Because struct {
	Object ObjectID `json:"object"`
	What   string   `json:"what"`
}

// terms lists what a booking lacks under a catalogue: what it stands on and is
// not there, and what would not allow it. Rules about when a booking is made
// (book_ahead, max_bookings, …) have been kept and do not count again.
func (s *snapshot) terms(b Booking) []Because {
	var out []Because
	lacks := func(kind, name, what string) { out = append(out, Because{ObjectID{kind, name}, what}) }
	if _, ok := s.cat.Experiments[b.Experiment]; !ok {
		lacks("experiments", b.Experiment, "is removed")
	}
	if slot, ok := s.cat.Slots[b.Slot]; !ok {
		lacks("slots", b.Slot, "is removed")
	} else {
		if slot.Experiment != b.Experiment {
			lacks("slots", b.Slot, "leads to another experiment")
		}
		if slot.Policy != b.Policy {
			lacks("slots", b.Slot, "is under another policy")
		}
		if slot.Window != "" && !s.opens(slot.Window, b.Interval()) {
			lacks("windows", slot.Window, "does not allow its time")
		}
	}
	if p, ok := s.cat.Policies[b.Policy]; !ok {
		lacks("policies", b.Policy, "is removed")
	} else {
		length := b.Interval().Length()
		if p.MinDuration != nil && length < time.Duration(*p.MinDuration) {
			lacks("policies", b.Policy, "asks for "+words(time.Duration(*p.MinDuration))+" at least")
		}
		if p.MaxDuration != nil && length > time.Duration(*p.MaxDuration) {
			lacks("policies", b.Policy, "allows "+words(time.Duration(*p.MaxDuration))+" at most")
		}
		if p.UnlimitedUsers == b.Exclusive {
			lacks("policies", b.Policy, map[bool]string{true: "lets everybody in at once", false: "lets in one at a time"}[p.UnlimitedUsers])
		}
	}
	if g, ok := s.cat.Groups[b.Group]; !ok {
		lacks("groups", b.Group, "is removed")
	} else if !slices.Contains(g.Policies, b.Policy) {
		lacks("groups", b.Group, "may no longer use its policy")
	}
	if _, ok := s.cat.UISets[b.UISet]; !ok {
		lacks("ui_sets", b.UISet, "is removed")
	}
	return out
}

func (s *snapshot) opens(window string, i Interval) bool {
	return slices.ContainsFunc(s.open[window], func(o Interval) bool { return o.Contains(i) })
}

// touches says what a change does to a booking: what it lacks afterwards and did
// not before, and whether its experiment has other streams.
func (w *weighed) touches(b Booking) []Because {
	had := w.before.terms(b)
	lacks := slices.DeleteFunc(w.after.terms(b), func(one Because) bool { return slices.Contains(had, one) })
	if w.otherStreams(b.Experiment) {
		lacks = append(lacks, Because{ObjectID{"experiments", b.Experiment}, "has other streams"})
	}
	return lacks
}

// otherStreams reports whether an experiment stays and has other streams after
// the change.
func (w *weighed) otherStreams(experiment string) bool {
	after, stays := w.after.cat.Experiments[experiment]
	before, was := w.before.cat.Experiments[experiment]
	return stays && was && !slices.EqualFunc(before.Streams, after.Streams, func(a, b Stream) bool {
		return a.For == b.For && a.Topic == b.Topic && slices.Equal(a.Scopes, b.Scopes)
	})
}

// bearing are the kinds that bookings stand on.
var bearing = []string{"experiments", "slots", "windows", "policies", "groups", "ui_sets"}

// touched lists the bookings that a change touches, by start. Choices tell which
// of them want a place.
func (d *Desk) touched(tx Tx, t lodge.Tenant, w *weighed, choices Choices, now time.Time) ([]Touch, error) {
	if !slices.ContainsFunc(w.ops, func(op Op) bool { return op.Action != Add && slices.Contains(bearing, op.Object.Kind) }) {
		return nil, nil
	}
	live, err := tx.Live(t, now)
	if err != nil {
		return nil, err
	}
	var out []Touch
	// Those that were given a place already are not offered it twice.
	taken := map[string][]Interval{}
	for _, b := range live {
		because := w.touches(b)
		if len(because) == 0 {
			continue
		}
		touch := Touch{Booking: d.seen(b), Because: because}
		if _, stays := w.after.cat.Experiments[b.Experiment]; stays {
			touch.Can = append(touch.Can, Keep)
		}
		place, err := w.place(tx, b, taken, now)
		if err != nil {
			return nil, err
		}
		if place != nil {
			touch.MoveTo, touch.Can = place.Experiment, append(touch.Can, MoveIt)
			if choice := choices.choiceFor(touch); choice == "" || choice == MoveIt {
				taken[place.Experiment] = append(taken[place.Experiment], b.Interval())
			}
		}
		touch.Can = append(touch.Can, CancelIt)
		out = append(out, touch)
	}
	return out, nil
}

// place is where a booking would be moved to, besides places that are taken in
// the same change; nil when nothing is free.
func (w *weighed) place(tx Tx, b Booking, taken map[string][]Interval, now time.Time) (*place, error) {
	found, err := placesFor(tx, w.after, w.before, b, now)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		if !b.Exclusive || !slices.ContainsFunc(taken[p.Experiment], b.Interval().Overlaps) {
			return &p, nil
		}
	}
	return nil, nil
}

// choiceFor returns the choice for a touched booking: its own, else that of the
// objects that touch it, else the default. It is empty when nothing was chosen.
func (c Choices) choiceFor(touch Touch) Choice {
	if own, ok := c.Bookings[touch.Booking.ID]; ok {
		return own
	}
	var furthest Choice
	for _, because := range touch.Because {
		if one := c.Objects[because.Object]; reach[one] > reach[furthest] {
			furthest = one
		}
	}
	if furthest != "" {
		return furthest
	}
	return c.Default
}

// Choices say what becomes of touched bookings.
type Choices struct {
	Default  Choice              // for all that nothing else is said of; empty: none
	Objects  map[ObjectID]Choice // for what an object touches; of several, the one that reaches furthest
	Bookings map[string]Choice   // for a booking, by its id
}

// valid refuses words that are no choice.
func (c Choices) valid() error {
	all := []Choice{}
	if c.Default != "" {
		all = append(all, c.Default)
	}
	for _, one := range c.Objects {
		all = append(all, one)
	}
	for _, one := range c.Bookings {
		all = append(all, one)
	}
	for _, one := range all {
		if reach[one] == 0 {
			return lodge.E(lodge.CodeRefused, fmt.Sprintf("%q is no choice for a booking; choose keep, move or cancel.", string(one)))
		}
	}
	return nil
}
