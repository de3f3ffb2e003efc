package idp

import (
	"context"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
)

// What Links and Merges refuse with, inside a *lodge.Error.
var (
	ErrLinked      = errors.New("idp: the subject belongs to another person") // CodeConflict
	ErrLastSubject = errors.New("idp: the person's last subject")             // CodeRefused
	ErrMerged      = errors.New("idp: the person is merged")                  // CodeConflict
	ErrNotMerged   = errors.New("idp: the person is not merged")              // CodeConflict
	ErrSamePerson  = errors.New("idp: both are one person already")           // CodeRefused
	ErrIntoGuest   = errors.New("idp: a guest cannot take in a person")       // CodeRefused
	ErrNotGuest    = errors.New("idp: only guests are claimed")               // CodeRefused
)

// Links change which subjects sign a person in. Each call is atomic and durable
// as those of Store.
type Links interface {
	// Link gives a person one more subject, with what its issuer says now as
	// SignedIn has it, and returns them. ErrLinked, and nothing is changed, when
	// the subject is another person's; ErrUnknown and ErrDisabled as they say, and
	// ErrMerged for a person who was merged. It may be repeated.
	Link(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, who Identity) (Person, error)
	// Unlink takes a subject away from a person, with all it gave, and returns
	// them; whoever signs in with it then is somebody new. ErrUnknown when the
	// subject is not the person's, ErrLastSubject, and nothing is changed, when it
	// is the only one.
	Unlink(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, subject Subject) (Person, error)
}

// A Merge makes one person count as another.
type Merge struct {
	Tenant lodge.Tenant
	From   lodge.PersonID // who counts as Into from now on
	Into   lodge.PersonID
	Claim  bool           // From is a guest, whom Into claimed
	By     lodge.PersonID // who did it
	At     time.Time
	Undone time.Time // when it was undone; zero while it stands
}

// Merges make persons count as others, and again as themselves. Each call is
// atomic and durable as those of Store.
//
// Nothing that belongs to a person is moved. Each subject stays with the person
// to whom it was linked, and is resolved when it is read, as is everything
// outside of this store (see lodge.Merged): that is why Unmerge gives back what
// was there, and nothing that came later.
type Merges interface {
	// Merge makes m.From, with everybody merged into them before, count as m.Into,
	// or, when that person was merged themselves, as whom they count as. It returns
	// the merge with the Into that counts. ErrUnknown when one is not there;
	// ErrMerged when m.From was merged already; ErrSamePerson when m.Into counts as
	// m.From; ErrIntoGuest when m.Into is a guest and m.From is none; ErrNotGuest
	// when m.Claim is set and m.From is none; ErrDisabled when m.Claim is set and
	// m.From is disabled. Of m, Undone is ignored.
	Merge(ctx context.Context, m Merge) (Merge, error)
	// Unmerge undoes the merge of a person: they, and everybody merged into them
	// before or since, count as before. It returns the merge with Into as the
	// person they counted as until now. ErrUnknown when the person is not there,
	// ErrNotMerged when there is nothing to undo.
	Unmerge(ctx context.Context, tenant lodge.Tenant, from, by lodge.PersonID, at time.Time) (Merge, error)
	// Merged returns everybody who counts as another, resolved to the end: no
	// value is a key.
	Merged(ctx context.Context, tenant lodge.Tenant) (lodge.Merged, error)
	// Unsettled returns the merges and un-merges of all tenants whose consequences
	// elsewhere are not known to be carried out, oldest first. Merge and Unmerge
	// add one, in the same step.
	Unsettled(ctx context.Context) ([]Merge, error)
	// Settled notes that the consequences of what Merge, Unmerge or Unsettled
	// returned are carried out. It may be repeated, and does nothing when the
	// person was merged or un-merged since.
	Settled(ctx context.Context, m Merge) error
}
