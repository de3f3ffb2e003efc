package booking

import (
	"fmt"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// An ObjectID names one entry of a catalogue by its map and its name there.
type ObjectID struct {
	Kind string // the catalogue's map: experiments, slots, …
	Name string
}

// String writes it as files and messages have it: slots.sl-a.
func (o ObjectID) String() string { return o.Kind + "." + o.Name }

// MarshalText writes it as String does.
func (o ObjectID) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (o *ObjectID) UnmarshalText(text []byte) error {
	id, ok := ParseObjectID(string(text))
	if !ok {
		return fmt.Errorf("booking: %q names no object", text)
	}
	*o = id
	return nil
}

// ParseObjectID reads what String wrote. It reports whether there can be such an
// object.
func ParseObjectID(s string) (ObjectID, bool) {
	kind, name, ok := strings.Cut(s, ".")
	id := ObjectID{kind, name}
	return id, ok && knownKind(kind) && goodName(name)
}

// An Object is one entry of a catalogue.
type Object struct {
	Kind    string // the catalogue's map: experiments, slots, …
	Name    string
	Version uint64 // the revision that wrote it; set by the store
	Body    []byte // JSON
}

// ID names the object.
func (o Object) ID() ObjectID { return ObjectID{o.Kind, o.Name} }

// Objects keep the catalogue, one row an object, and a revision per tenant.
type Objects interface {
	// Revision grows with every change; 0 means that there is no catalogue.
	Revision(lodge.Tenant) (uint64, error)
	Objects(lodge.Tenant) ([]Object, error)
	// ChangeObjects writes and removes objects and moves the revision on by one.
	// Removing what is not there changes nothing else.
	ChangeObjects(t lodge.Tenant, put []Object, remove []ObjectID) error
	// RemovedSince returns what was removed after a revision and is not there
	// again, each with the revision that removed it and without a body.
	RemovedSince(t lodge.Tenant, revision uint64) ([]Object, error)
}

// Places are what a change of the catalogue does to a diary.
type Places interface {
	// Live returns all bookings that are not cancelled and end after a time, by
	// start.
	Live(t lodge.Tenant, now time.Time) ([]Booking, error)
	// Move replaces where a booking takes place (experiment, slot, UI set) when the
	// stored version is b.Version, and stores the next one; else ErrStale.
	// ErrOverlap as for Diary.Insert.
	Move(b Booking) error
}
