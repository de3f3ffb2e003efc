package web

import (
	"encoding/json"
	"time"
)

// Catalogue is /admin/catalogue: a manifest, and what it would change.
type Catalogue struct {
	Layout
	Manifest string
	Lenient  bool
	Prune    bool
	Message  string
	Planned  bool // Plan is what the manifest would do
	Plan     CataloguePlan
	Groups   []Group // those the reader looks after
}

// A CataloguePlan is what a change of the catalogue would do.
type CataloguePlan struct {
	Revision uint64
	LeftOut  []string
	Ops      []CatalogueOp
	Touched  []TouchedBooking
}

// A CatalogueOp is what happens to an object: add, change or remove.
type CatalogueOp struct {
	Object, Action string
	Fields         []CatalogueField
}

// A CatalogueField is what of an object differs, as JSON.
type CatalogueField struct {
	Field         string
	Before, After json.RawMessage
}

// A TouchedBooking is a booking that the change touches, and what can become of it.
type TouchedBooking struct {
	ID, Name, Experiment string
	Start, End           time.Time
	Because              []string
	Can                  []string // keep, move, cancel
	Chosen               string
	MoveTo               string
}

// Roles is /admin/roles: who may do what.
type Roles struct {
	Layout
	Roles []RoleBinding
	Form  RoleBinding // what was typed
	Kinds []string    // roles that can be given
	// Explained is why a person has each role, when one was asked about.
	Explained *Explained
	Asked     string // the person who is to be explained, as typed
}

// A RoleBinding is a role within a scope, and whom it is given to.
type RoleBinding struct {
	Name, Role, Scope string
	To                []string // in words
	Subject, Group    string   // of the form
}

// Explained says which roles a person has, and why.
type Explained struct {
	Name  string
	Roles []ExplainedRole
}

// An ExplainedRole is a role within a scope with what gives it.
type ExplainedRole struct {
	Role, Scope string
	Because     []string
}

// GroupPage is /groups/{id}: how people join a group, and who is in it.
type GroupPage struct {
	Layout
	Group   string
	Name    string
	Codes   []JoinCode
	Members []GroupMember

	Days, Limit string // of a new join code, as they were typed
}

// A JoinCode puts people into a group. Link is empty unless it works.
type JoinCode struct {
	ID, Link, State string
	ExpiresAt       time.Time
	Limit, Uses     int
	File            bool
}

// A GroupMember is somebody in a group; Joined is zero for whom an issuer put there.
type GroupMember struct {
	Person, Name string
	Joined       time.Time
}

// MemberPage is /groups/{id} for somebody who is in the group; Joined is zero when an
// issuer put them there.
type MemberPage struct {
	Layout
	Group, Name string
	Joined      time.Time
}

// JoinPage is /join: into which group a code would put somebody.
type JoinPage struct {
	Layout
	Code  string // as it was given
	Group string // empty: none was given, or it does not work
}
