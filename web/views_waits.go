package web

import (
	"slices"
	"time"
)

// The pages of waiting lists and of booking for others.
const (
	PageWaits     = "waits"      // Waits
	PageTeachBook = "teach_book" // TeachBook
)

// Waits is /waits?group=: the lists that the reader is on, and what they can wait
// for.
type Waits struct {
	Layout
	Waits      []Wait
	Group      Group
	Groups     []Group  // the others, to change over
	Choices    []Choice // pools and slots of the group
	AskSurname bool     // the institution gave none
	Form       WaitForm
}

// Wait is a place on a waiting list.
type Wait struct {
	ID      string
	Group   string
	Title   string
	Until   time.Time
	Seconds int
	Place   int
	Offer   *WaitOffer
	Key     string // makes a repeated post one booking
}

// WaitOffer is what can be booked; until then nobody else is told.
type WaitOffer struct {
	Slot              string
	Start, End, Until time.Time
}

// Choice is a pool or a slot that a form offers. Value is pool:NAME or slot:NAME.
type Choice struct{ Value, Title string }

// WaitForm is what was typed.
type WaitForm struct {
	Choice  string
	Start   string // local time; empty: now
	Minutes int
	Surname string
	Key     string
}

// TeachBook is /teach/book?group=.
type TeachBook struct {
	Layout
	Group   Group
	Groups  []Group
	Choices []Choice
	Members []PartyMember
	Form    PartyForm
	Places  []PartyPlace // what became of each, when that is to be told
}

// PartyMember is somebody to book for.
type PartyMember struct {
	ID, Name string
	Chosen   bool
}

// PartyForm is what was typed; times are local.
type PartyForm struct {
	Choice, From, Until string
	Minutes             int
	Partial             bool
	Name, Surname       string // of a guest
	Key                 string
}

// PartyPlace is one member's booking, or why there is none.
type PartyPlace struct {
	Name       string
	Experiment string
	Start, End time.Time
	Detail     string
}

// Can reports whether the reader may do something with the booking; one that does
// not say may be treated in every way.
func (b Booking) Can(what string) bool { return b.May == nil || slices.Contains(b.May, what) }
