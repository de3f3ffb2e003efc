package idp

import (
	"context"

	"github.com/lodge-gateway/lodge"
)

// A Mailbox is where, and whether, a person is written to. It identifies nobody.
type Mailbox struct {
	Address     string // an issuer vouched for it, or it was typed for a guest; empty: nowhere
	Language    string // BCP 47, of the last sign-in; empty: unknown
	Off         bool   // wants no mail but what they ask for
	NoReminders bool   // wants no reminders, by mail or message
}

// Mailboxes keep people's mailboxes. Each call is atomic and durable as those of
// Store. A person who is not there has an empty one.
type Mailboxes interface {
	Mailbox(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) (Mailbox, error)
	// NoteMailbox writes down an address and a language; empty ones leave what is
	// known.
	NoteMailbox(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, address, language string) error
	// ChooseMail writes down what a person wants.
	ChooseMail(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, off, noReminders bool) error
}
