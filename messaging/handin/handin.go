// Package handin keeps hand-ins: activities that an instructor sets an audience,
// to be handed in as text and files, and graded.
//
// What a person hands in is their work. Until the deadline, or past it where the
// late rule has it so, a person may replace their work: the new one counts once it
// is whole, and until then the old one does. Grades are kept back until they are
// released together; what changes after that shows at once.
//
// Each hand-in is folded from the entries of a sealed topic of its own, so that
// what races is decided by the log, the same on every node and after every
// restart; another topic lists a tenant's hand-ins. Both are internal: nobody
// reads them but through a Desk. The contents lie in Files, outside of the log:
// a file is written first and named by an entry afterwards, so that what is named
// is whole, and what is not named by then was left behind and is swept away.
// Contents, names and grades are sealed under the person's key
// (messaging.PersonKeys): once that is erased it is only known that somebody handed
// something in. Who may open, hand in, grade and read is for the caller to know,
// as is telling the audience about it.
package handin

import (
	"math"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Late rule says what becomes of work that comes after the deadline.
type Late string

// The late rules.
const (
	Refuse  Late = "refuse"  // it is not taken
	Accept  Late = "accept"  // it is taken, and marked late
	Penalty Late = "penalty" // it is taken, marked late, and costs points
)

// Limits bound one person's work.
type Limits struct {
	Files    int      `json:"files"`     // how many
	FileSize int64    `json:"file_size"` // of each, in bytes
	Total    int64    `json:"total"`     // of all, in bytes
	Types    []string `json:"types"`     // file name extensions, in lower case and without the dot
}

// A Draft is what a hand-in is opened with.
type Draft struct {
	// ID makes opening repeatable: the same draft by the same person gives the
	// same hand-in. Empty means a new one. It may have letters, digits, - and _.
	ID           string    `json:"-"`
	To           string    `json:"to"` // all, group:G, experiment:X, booking:B or user:P
	Title        string    `json:"title"`
	Instructions string    `json:"instructions,omitempty"`
	Opens        time.Time `json:"opens,omitzero"`    // zero: at once
	After        bool      `json:"after,omitempty"`   // to each person once their experiment has ended
	Deadline     time.Time `json:"deadline,omitzero"` // zero: none
	Late         Late      `json:"late"`              // empty: Refuse
	PerDay       float64   `json:"per_day,omitempty"` // points off for each day begun after the deadline; with Penalty
	Points       float64   `json:"points"`            // possible
	Limits       Limits    `json:"limits"`            // what is zero is the default
}

func (d Draft) equal(e Draft) bool {
	return d.To == e.To && d.Title == e.Title && d.Instructions == e.Instructions && d.Opens.Equal(e.Opens) && d.After == e.After && d.Deadline.Equal(e.Deadline) &&
		d.Late == e.Late && d.PerDay == e.PerDay && d.Points == e.Points && d.Limits.Files == e.Limits.Files &&
		d.Limits.FileSize == e.Limits.FileSize && d.Limits.Total == e.Limits.Total && slices.Equal(d.Limits.Types, e.Limits.Types)
}

// A HandIn is a hand-in as it is now, without what anybody handed in.
type HandIn struct {
	Draft
	ID         string
	By         lodge.PersonID
	OpenedAt   time.Time // when the instructor did; see Opens
	ClosedAt   time.Time // zero while it is open
	ReleasedAt time.Time // when the grades were; zero before
	HandedIn   int       // how many people have
}

// A Standing says whether a hand-in takes work.
type Standing string

// The standings.
const (
	Coming Standing = "coming" // it is not open yet
	Open   Standing = "open"
	Later  Standing = "late"   // the deadline has passed, and work is still taken
	Closed Standing = "closed" // it takes no more
)

// At returns the standing of a hand-in at a time.
func (h HandIn) At(now time.Time) Standing {
	past := !h.Deadline.IsZero() && now.After(h.Deadline)
	switch {
	case !h.ClosedAt.IsZero(), past && h.Late == Refuse:
		return Closed
	case now.Before(h.Opens):
		return Coming
	case past:
		return Later
	}
	return Open
}

// DaysLate is how many days have begun between the deadline and a time; 0 when it
// is not late.
func (h HandIn) DaysLate(at time.Time) int {
	if h.Deadline.IsZero() || !at.After(h.Deadline) {
		return 0
	}
	return int((at.Sub(h.Deadline) + 24*time.Hour - 1) / (24 * time.Hour))
}

// Counted is what points come to for work of a time: less what the late rule takes
// off, and not below 0.
func (h HandIn) Counted(points float64, at time.Time) float64 {
	if h.Late == Penalty {
		points -= h.PerDay * float64(h.DaysLate(at))
	}
	return max(0, hundredths(points))
}

// hundredths rounds points.
func hundredths(points float64) float64 { return math.Round(points*100) / 100 }

// A File is a file of somebody's work.
type File struct {
	ID     string `json:"id"`
	Name   string `json:"name"` // safe as the name of a file; unique in its work
	Type   string `json:"type"` // media type, by extension
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// A Receipt confirms that work was handed in.
type Receipt struct {
	HandIn   string
	Version  int // 1 for the first, 2 for what replaced it, …
	At       time.Time
	DaysLate int // 0: in time
	// SHA256 is that of a list with one line a file, as sha256sum writes it: digest,
	// two spaces, name. The text is named text.txt.
	SHA256 string
}

// Work is what one person handed in, as whom they count.
type Work struct {
	Person   lodge.PersonID
	Name     string // as it was then; empty once the person was erased
	Surname  string
	Version  int
	At       time.Time // zero: nothing was handed in
	DaysLate int
	SHA256   string // as in the Receipt
	Text     *File  // nil: none; see Desk.Text
	Files    []File
	Erased   bool   // what it was is gone with the person's key
	Grade    *Grade // nil: none
	author   lodge.PersonID
}

// A Grade is what an instructor gave for somebody's work.
type Grade struct {
	Points  float64 // as given
	Counted float64 // less what the late rule takes off
	Words   string
	At      time.Time
	By      lodge.PersonID
	Version int // of the work it is for; 0: for none
}
