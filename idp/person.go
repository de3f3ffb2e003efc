package idp

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/lodge-gateway/lodge"
)

// A Person is somebody a tenant knows.
type Person struct {
	ID         lodge.PersonID
	Tenant     lodge.Tenant
	Name       string // display name; may be empty
	FamilyName string // from the issuer, or typed for a guest; may be empty
	Email      string // for display and mail; never an identifier
	// Groups is the sorted union of what each linked issuer said at the person's
	// last sign-in there, and of the groups they joined.
	Groups []string
	// Bindings likewise are the roles that rules of the issuers gave; the
	// catalogue may give more.
	Bindings []lodge.Binding
	Guest    bool // made by a booking on someone's behalf; claimed once MergedInto is set
	Disabled bool // may not sign in
	Subjects []Subject
	// MergedInto is whom the person counts as since they were merged: their
	// subjects, groups and bindings are that person's. Empty for everybody else.
	MergedInto lodge.PersonID
}

// NewPersonID draws the id of a person.
func NewPersonID() lodge.PersonID { return lodge.PersonID(rand.Text()) }

// A Subject is one account at one issuer: the configured id and the "sub".
type Subject struct{ Issuer, Subject string }

// What a Store refuses with, inside a *lodge.Error.
var (
	ErrUnknown  = errors.New("idp: no such person")     // CodeNotFound
	ErrDisabled = errors.New("idp: person is disabled") // CodeForbidden
)

// A Store keeps the persons of all tenants. Every method sees one tenant only.
// Each call is atomic and, once it has returned without an error, durable. When
// the storage cannot be reached the error has CodeUnavailable. personstest holds
// the conformance suite.
type Store interface {
	Links
	Merges
	Erasures
	JoinStore
	Mailboxes

	// SignedIn returns the person that (Issuer, Subject) signs in, a new one when
	// there is none; first sign-ins that race end with one person. When the person
	// it is linked to was merged, that is whom they count as. It writes down what
	// the issuer says now: groups, bindings and reasons replace those that this subject brought
	// before; a name, family name or e-mail that is absent leaves the known one of
	// the person it is linked to. When that person or whom they count as is
	// disabled, it is refused with ErrDisabled and everything left as it is. It may
	// be retried.
	SignedIn(ctx context.Context, tenant lodge.Tenant, who Identity) (Person, error)
	// SignIns returns what the last sign-in of each of a person's subjects gave,
	// ordered as Person.Subjects; ErrUnknown when there is no such person.
	SignIns(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID) ([]SignIn, error)
	// Get returns the persons of these ids, in that order; unknown ids are absent.
	Get(ctx context.Context, tenant lodge.Tenant, ids ...lodge.PersonID) ([]Person, error)
	// Find returns the person that a subject signs in, or ErrUnknown.
	Find(ctx context.Context, tenant lodge.Tenant, issuer, subject string) (Person, error)
	// Guest makes a person without any subject under an id of NewPersonID. Repeated
	// with the same id it changes nothing and returns who is there.
	Guest(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, name, familyName string) (Person, error)
	// InGroup returns the persons of a group who are not disabled, ordered by
	// family name, name and id; of merged ones whom they count as, once.
	InGroup(ctx context.Context, tenant lodge.Tenant, group string) ([]Person, error)
	// List returns up to limit persons with ids after the given one, by id; ""
	// begins at the beginning. Merged ones are among them.
	List(ctx context.Context, tenant lodge.Tenant, after lodge.PersonID, limit int) ([]Person, error)
	// SetDisabled bars a person from signing in, or lets them in again; ErrUnknown
	// when there is none. Ending the sessions they have is the caller's part.
	SetDisabled(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, disabled bool) error
}
