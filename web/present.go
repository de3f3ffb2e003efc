package web

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// layout is how Render finds what surrounds a page.
func (l Layout) layout() Layout { return l }

// ZoneName is the zone the page's times are in, by its name.
func (l Layout) ZoneName() string {
	if l.Zone == nil {
		return "UTC"
	}
	return l.Zone.String()
}

// Field returns what is wrong with a form field, or "".
func (l Layout) Field(name string) string {
	if l.Problem == nil {
		return ""
	}
	return l.Problem.Fields[name]
}

// ResumeJSON is Resume as the modules read it.
func (l Layout) ResumeJSON() (string, error) {
	if len(l.Resume) == 0 {
		return "{}", nil
	}
	b, err := json.Marshal(l.Resume)
	return string(b), err
}

// At is the page's path.
func (l Layout) At() string {
	at, _, _ := strings.Cut(l.Path, "?")
	return at
}

// Kind is what an audience is of: all, group, experiment or user.
func (a Audience) Kind() string {
	kind, _, _ := strings.Cut(a.Value, ":")
	return kind
}

// Live reports whether the page opens a message socket.
func (l Layout) Live() bool { return l.Person != nil }

// UnderWay reports whether the booking's time has come and not gone.
func (b Booking) UnderWay(now time.Time) bool {
	return b.State == "booked" && !now.Before(b.Start) && now.Before(b.End)
}

// Coming reports whether the booking lies ahead.
func (b Booking) Coming(now time.Time) bool { return b.State == "booked" && now.Before(b.Start) }

// Standing is the booking's state in a word or two.
func (b Booking) Standing(now time.Time) string {
	switch {
	case b.State == "cancelled":
		return "cancelled"
	case b.UnderWay(now):
		return "under way"
	case b.Coming(now):
		return "coming"
	default:
		return "ended"
	}
}

// Letters splits the reference so that each character can be set on its own.
func (b Booking) Letters() []string { return strings.Split(b.Reference, "") }

// The lengths offered for a booking, in seconds, where the policy leaves room.
var lengths = []int{60, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 10800, 14400, 28800}

// defaultMaxLength is offered where the policy sets no upper limit, in seconds.
const defaultMaxLength = 3600

// Lengths returns the lengths in seconds to offer for the slot: round ones
// between the policy's limits, the limits themselves, and what guides suggest.
func (s Slot) Lengths() []int {
	longest := s.MaxSeconds
	if longest == 0 {
		longest = max(defaultMaxLength, s.MinSeconds)
	}
	var offer []int
	if s.MinSeconds > 0 {
		offer = append(offer, s.MinSeconds)
	}
	for _, n := range lengths {
		if n > s.MinSeconds && n < longest {
			offer = append(offer, n)
		}
	}
	if longest > s.MinSeconds {
		offer = append(offer, longest)
	}
	for _, n := range s.Guides {
		if s.allows(n) {
			offer = append(offer, n)
		}
	}
	slices.Sort(offer)
	return slices.Compact(offer)
}

// allows reports whether the policy has room for a length, in seconds.
func (s Slot) allows(n int) bool {
	return n > 0 && n >= s.MinSeconds && (s.MaxSeconds == 0 || n <= s.MaxSeconds)
}

// DefaultLength is the offered length to select first: what the first guide
// suggests, else five minutes or the nearest above it.
func (s Slot) DefaultLength() int {
	if i := slices.IndexFunc(s.Guides, s.allows); i >= 0 {
		return s.Guides[i]
	}
	offer := s.Lengths()
	for _, n := range offer {
		if n >= 300 {
			return n
		}
	}
	if len(offer) == 0 {
		return 0
	}
	return offer[len(offer)-1]
}

// shortest is the least time that must be left in an interval to be offered.
func (s Slot) shortest() time.Duration {
	if s.MinSeconds > 0 {
		return time.Duration(s.MinSeconds) * time.Second
	}
	return time.Minute
}

// FreeNow reports whether a booking could begin at this moment.
func (s Slot) FreeNow(now time.Time) bool {
	for _, i := range s.Free {
		if !now.Before(i.Start) && i.End.Sub(now) >= s.shortest() {
			return true
		}
	}
	return false
}

// maxStarts bounds how many later beginnings one list offers.
const maxStarts = 96

// Starts returns the later beginnings to offer: each free interval's own start
// and every quarter of an hour in it.
func (s Slot) Starts(now time.Time) []time.Time {
	const step = 15 * time.Minute
	var starts []time.Time
	for _, i := range s.Free {
		at := i.Start
		if !at.After(now) {
			at = now.Truncate(step).Add(step)
		}
		for i.End.Sub(at) >= s.shortest() {
			if len(starts) == maxStarts {
				return starts
			}
			starts = append(starts, at)
			at = at.Truncate(step).Add(step)
		}
	}
	return starts
}

// Span is a stretch of a ribbon, in percent of its length.
type Span struct{ X, Width string }

// Ribbon returns the free intervals of the slot as stretches of the time
// between from and until.
func (s Slot) Ribbon(from, until time.Time) []Span {
	whole := until.Sub(from)
	if whole <= 0 {
		return nil
	}
	percent := func(d time.Duration) float64 { return 100 * float64(d) / float64(whole) }
	var spans []Span
	for _, i := range s.Free {
		x := math.Max(0, percent(i.Start.Sub(from)))
		end := math.Min(100, percent(i.End.Sub(from)))
		if end > x {
			spans = append(spans, Span{X: fmt.Sprintf("%.2f%%", x), Width: fmt.Sprintf("%.2f%%", end-x)})
		}
	}
	return spans
}

// Kinds lists the kinds of session that can be asked for.
func (a Admin) Kinds() []string { return []string{"login", "booking", "experiment", "host", "service"} }

// Live reports whether the session can be ended.
func (s Session) Live() bool { return s.State == "active" || s.State == "pending" }

// Open is what is open through a session; nil when nothing is.
func (s Session) Open() *Sockets {
	if s.Sockets == (Sockets{}) {
		return nil
	}
	return &s.Sockets
}

// Count returns how many marks are in a state.
func (r Register) Count(state string) int {
	n := 0
	for _, m := range r.Marks {
		if m.State == state {
			n++
		}
	}
	return n
}

// Because says in words where a mark comes from.
func (m Mark) Because() string {
	switch m.Source {
	case "experiment":
		return Text("seen in the experiment")
	case "messages":
		return Text("seen on the message channel")
	case "confirmed":
		return Text("confirmed by one tap")
	case "code":
		return Text("with the code in the room")
	case "manual":
		return Text("entered by hand")
	case "apology":
		return Text("apologised")
	case "short":
		return Text("too short a time in the experiment")
	case "closed":
		return Text("when the register closed")
	default:
		return ""
	}
}
