package web

import "time"

// The pages about who somebody is.
const (
	PageIdentities = "identities" // Identities
	PagePersons    = "persons"    // Persons
	PageMerge      = "merge"      // Merge
)

// Identities is /identities: the accounts that sign the reader in.
type Identities struct {
	Layout
	Identities []Identity
	Issuers    []Issuer   // where another account can be added
	Claim      LookupForm // what was typed, when it was refused
}

// Identity is one account at an issuer.
type Identity struct {
	ID      string
	Name    string // the issuer's
	Subject string
	Current bool // the reader's session was made through it
}

// Several reports whether one of the accounts may go.
func (v Identities) Several() bool { return len(v.Identities) > 1 }

// Persons is /admin/persons: the tenant's people.
type Persons struct {
	Layout
	Query   string
	Merging *PersonRow // who is to be merged, once that is chosen
	People  []PersonRow
	More    string // address of the next page; empty when there is none
}

// PersonRow is one person.
type PersonRow struct {
	ID         string
	Name       string
	Email      string
	Accounts   []string // issuer:subject
	Guest      bool
	Disabled   bool
	MergedInto string
}

// Merge is /admin/persons/{id}/merge: what merging two people would do.
type Merge struct {
	Layout
	Version  string
	From     PersonRow
	Into     PersonRow
	Bookings []MergeBooking
	Answers  []MergeItem
	Marks    []MergeItem
	Sessions []Session
}

// MergeBooking is a booking that would change hands.
type MergeBooking struct {
	Experiment string
	Start, End time.Time
	Cancelled  bool
}

// MergeItem is an answer or a mark. Clash says in words what counts when both
// people have one; empty when only one has.
type MergeItem struct {
	Title string
	State string
	Clash string
}
