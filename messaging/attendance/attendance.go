// Package attendance keeps attendance registers: who of a group was there in an
// hour.
//
// A register is opened for a group's members of that moment and an interval,
// also one that has begun already, with what was seen so far. Whoever is seen in
// an experiment within the interval is present, and says so themselves with one
// tap; a tap alone is enough. Being connected to messages is noted as a hint for
// the instructor and makes nobody present: a page can be left open. When the
// register is closed, members without presence are absent, and nothing changes
// any more.
//
// Registers are folded from the entries of one sealed topic a tenant, so that
// what races is decided by the log, the same on every node and after every
// restart. The topic is internal: nobody reads it but through a Desk. What is known
// of a member, their name too, is sealed under the member's key
// (messaging.PersonKeys) in entries and in what they fold into: once that is
// erased, no register has the member any more.
package attendance

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A State is what a register says of a member.
type State string

// The states of a mark.
const (
	Expected State = "expected" // a member who has not come yet
	Present  State = "present"
	Absent   State = "absent" // the register was closed before they came
)

// A Source says where a mark's state comes from.
type Source string

// The sources of a mark.
const (
	FromExperiment Source = "experiment" // connected to an experiment
	FromMessages   Source = "messages"   // connected to messages: a hint only
	FromMember     Source = "confirmed"  // the member's own tap
	FromClosing    Source = "closed"     // absent when the register was closed
)

// A Member is a person whom a register is about.
type Member struct {
	Person lodge.PersonID
	Name   string
}

// A Sighting is a person's presence during an interval.
type Sighting struct {
	Person   lodge.PersonID
	Name     string // used when the register has no name for the person
	Source   Source // FromExperiment or FromMessages
	From, To time.Time
}

// A Draft is what a register is opened with.
type Draft struct {
	// ID makes opening repeatable: the same one by the same person gives the
	// same register. Empty means a new one.
	ID    string
	Title string
	Group string
	// Start and End bound the interval, half-open. A zero Start means the
	// current hour's, a zero End an hour after Start.
	Start, End time.Time
	Members    []Member   // at least one
	Sightings  []Sighting // what was seen before the register was opened
}

// A Mark is what a register says of one member.
type Mark struct {
	Person    lodge.PersonID
	Name      string
	State     State
	Source    Source        // "" for a member of whom nothing is known
	Confirmed bool          // the member said so themselves
	FirstSeen time.Time     // zero: never
	LastSeen  time.Time     //
	Seen      time.Duration // time in the experiment, within the interval
}

// A Register is an attendance register as it is now.
type Register struct {
	ID       string
	Title    string
	Group    string
	By       lodge.PersonID // who opened it
	Start    time.Time
	End      time.Time
	OpenedAt time.Time
	ClosedAt time.Time // zero while it is open
	Open     bool
	Marks    []Mark // by name
}

// Mark returns the mark of one person.
func (r Register) Mark(person lodge.PersonID) (Mark, bool) {
	for _, m := range r.Marks {
		if m.Person == person {
			return m, true
		}
	}
	return Mark{}, false
}

// view returns the register as the outside sees it; it shares nothing with r.
func (r *register) view() Register {
	v := Register{
		ID: r.ID, Title: r.Title, Group: r.Group, By: r.By, Start: r.Start, End: r.End,
		OpenedAt: r.OpenedAt, ClosedAt: r.ClosedAt, Open: r.open(),
	}
	for person, rec := range r.Members {
		v.Marks = append(v.Marks, rec.view(person, r.open()))
	}
	slices.SortFunc(v.Marks, func(a, b Mark) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Person, b.Person))
	})
	return v
}

func (rec *record) view(person lodge.PersonID, open bool) Mark {
	m := Mark{Person: person, Name: rec.Name, State: Expected, Confirmed: !rec.ConfirmedAt.IsZero(), Seen: rec.Spans[FromExperiment].total()}
	experiment, messages := rec.Spans[FromExperiment], rec.Spans[FromMessages]
	switch {
	case len(experiment) > 0:
		m.State, m.Source = Present, FromExperiment
		m.FirstSeen, m.LastSeen = experiment.bounds()
	case m.Confirmed:
		m.State, m.Source = Present, FromMember
		m.FirstSeen, m.LastSeen = rec.ConfirmedAt, rec.ConfirmedAt
	case len(messages) > 0:
		m.Source = FromMessages
		m.FirstSeen, m.LastSeen = messages.bounds()
	}
	if !open && m.State == Expected {
		m.State, m.Source = Absent, FromClosing
	}
	return m
}
