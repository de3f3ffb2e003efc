package idp

import (
	"context"

	"github.com/lodge-gateway/lodge"
)

// Erasures make persons nobody. The call is atomic and durable as those of Store.
type Erasures interface {
	// Erase removes of persons their names, e-mail, mailboxes, memberships, subjects and all
	// that those gave, and disables them. What is left is the id, which tells nothing, and
	// whom it was merged into. Whoever signs in with one of the subjects then is
	// somebody new. Ids that are not there change nothing; it may be repeated.
	Erase(ctx context.Context, tenant lodge.Tenant, ids ...lodge.PersonID) error
}
