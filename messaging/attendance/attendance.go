// Package attendance keeps attendance registers: who of a group was there in an
// hour.
//
// A register is opened for a group's members of that moment and an interval,
// also one that has begun already, with what was seen so far. Whoever is seen in
// an experiment within the interval is present, and says so themselves with one
// tap; a tap alone is enough, unless the register is for a room: there it takes the
// code that is on the screen for a few seconds (Screen). Being connected to messages
// is noted as a hint for the instructor and makes nobody present: a page can be left
// open. Rules say who is late, and how long somebody has to have been there. Registers
// can be planned ahead, one or a series (Plan), and then open and close by
// themselves (Due). When one is closed, members without presence are absent, or
// excused if they apologised and that was accepted, and presence changes nothing any
// more; whoever keeps it can still correct it (Correct), and a correction wins over
// everything else.
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
	Late     State = "late"    // present, but later than the rules allow
	Excused  State = "excused" // absent with leave
	Absent   State = "absent"  // the register was closed before they came
)

// A Source says where a mark's state comes from.
type Source string

// The sources of a mark.
const (
	FromExperiment Source = "experiment" // connected to an experiment
	FromMessages   Source = "messages"   // connected to messages: a hint only
	FromMember     Source = "confirmed"  // the member's own tap
	FromCode       Source = "code"       // the code of the screen in the room
	FromHand       Source = "manual"     // entered by whoever keeps the register
	FromApology    Source = "apology"    // an apology that was accepted
	FromRules      Source = "short"      // absent: too short a time in the experiment
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

// Rules say what a register makes of what is known of its members. The zero Rules
// make nobody late and take a moment in the experiment for presence.
type Rules struct {
	// Late is how long after the start somebody may come and be in time.
	Late time.Duration
	// Least is how long somebody has to have been in the experiment to be present by
	// that alone.
	Least time.Duration
	// Room says that it takes the code on the screen, or the experiment: a tap is not
	// enough.
	Room bool
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
	Rules
	Members   []Member   // at least one
	Sightings []Sighting // what was seen before the register was opened

	series string // it was planned with
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
	Apology   Apology
	Changes   []Change // by hand, oldest first; the last one counts
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
	Series   string // what it was planned with, if it was
	Coded    bool   // it has codes for a screen
	Rules
	Marks []Mark // by name
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
		OpenedAt: r.OpenedAt, ClosedAt: r.ClosedAt, Open: r.open(), Series: r.Series, Coded: len(r.Secret) > 0, Rules: r.rules(),
	}
	for person, rec := range r.Members {
		v.Marks = append(v.Marks, rec.view(person, r))
	}
	slices.SortFunc(v.Marks, func(a, b Mark) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Person, b.Person))
	})
	return v
}
