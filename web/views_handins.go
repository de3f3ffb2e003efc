package web

import (
	"strconv"
	"time"
)

// The pages of hand-ins, by template.
const (
	PageHandIn       = "handin"        // HandInPage
	PageTeachHandIns = "teach_handins" // TeachHandIns
	PageTeachHandIn  = "teach_handin"  // TeachHandIn
)

// HandInPage is /handins/{id}: what is to be handed in, and the reader's own work.
type HandInPage struct {
	Layout
	HandIn HandIn
	Text   string // handed in before, or typed
	Key    string // makes a repeated post one piece of work
}

// HandIn is a hand-in.
type HandIn struct {
	ID, To, Title, Instructions string
	Opens, Deadline             time.Time
	After                       bool   // it opens to each person once their experiment has ended
	Late                        string // refuse, accept, penalty
	PerDay, Points              float64
	Files                       int
	FileMiB, TotalMiB           string
	Types                       string
	Standing                    string // coming, open, late, closed
	Released                    bool
	Mine                        *Work
	HandedIn                    int // to who grades
}

// Takes reports whether work is taken now.
func (h HandIn) Takes() bool { return h.Standing == "open" || h.Standing == "late" }

// Ends reports whether there is a deadline.
func (h HandIn) Ends() bool { return !h.Deadline.IsZero() }

// Work is what one person handed in.
type Work struct {
	Person, Name string
	Version      int
	At           time.Time
	DaysLate     int
	SHA256       string
	Erased       bool
	Text         string     // to who grades, if it is there to be read
	Files        []WorkFile // the text among them
	Graded       bool
	Points       float64
	Counted      float64
	Words        string
}

// In reports whether anything was handed in.
func (w Work) In() bool { return !w.At.IsZero() }

// WorkFile is a file of somebody's work. Text is not a file that can be kept.
type WorkFile struct {
	ID, Name, URL string
	Size          int64
	Text          bool
}

// Readable is the size as people read it.
func (f WorkFile) Readable() string {
	switch {
	case f.Size < 1000:
		return strconv.FormatInt(f.Size, 10) + " B"
	case f.Size < 1000*1000:
		return strconv.FormatInt(f.Size/1000, 10) + " kB"
	}
	return strconv.FormatFloat(float64(f.Size/100_000)/10, 'f', -1, 64) + " MB"
}

// TeachHandIns is /teach/handins.
type TeachHandIns struct {
	Layout
	Audience Audiences
	Form     HandInForm
	HandIns  []HandIn
}

// HandInForm is what was typed; times as a datetime-local field has them, in Zone.
type HandInForm struct {
	To, Title, Instructions, When, Opens, Deadline, Zone, Late, PerDay, Points, Files, MiB, Types, Key string
}

// TeachHandIn is /teach/handins/{id}: what everybody handed in, with their grades.
type TeachHandIn struct {
	Layout
	HandIn HandIn
	Work   []Work // who has nothing in comes last
}

// In is how many people have handed something in.
func (t TeachHandIn) In() int { return t.count(Work.In) }

// Graded is how many people have a grade.
func (t TeachHandIn) Graded() int { return t.count(func(w Work) bool { return w.Graded }) }

func (t TeachHandIn) count(of func(Work) bool) (n int) {
	for _, w := range t.Work {
		if of(w) {
			n++
		}
	}
	return n
}
