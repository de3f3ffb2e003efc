package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Mailbox implements idp.Mailboxes.
func (s *Persons) Mailbox(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID) (idp.Mailbox, error) {
	var m idp.Mailbox
	err := s.db.View(ctx, func(tx *Tx) error {
		return tx.Get(`SELECT address, language, off, no_reminders FROM person_mailboxes WHERE tenant = ? AND person = ?`,
			[]any{tenant, id}, &m.Address, &m.Language, &m.Off, &m.NoReminders)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return idp.Mailbox{}, nil
	}
	return m, personsError(err)
}

// NoteMailbox implements idp.Mailboxes.
func (s *Persons) NoteMailbox(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, address, language string) error {
	return s.putMailbox(ctx, `INSERT INTO person_mailboxes (tenant, person, address, language, off, no_reminders) VALUES (?, ?, ?, ?, 0, 0)
		ON CONFLICT (tenant, person) DO UPDATE SET
			address = coalesce(nullif(excluded.address, ''), address), language = coalesce(nullif(excluded.language, ''), language)`,
		tenant, id, address, language)
}

// ChooseMail implements idp.Mailboxes.
func (s *Persons) ChooseMail(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, off, noReminders bool) error {
	return s.putMailbox(ctx, `INSERT INTO person_mailboxes (tenant, person, address, language, off, no_reminders) VALUES (?, ?, '', '', ?, ?)
		ON CONFLICT (tenant, person) DO UPDATE SET off = excluded.off, no_reminders = excluded.no_reminders`,
		tenant, id, off, noReminders)
}

func (s *Persons) putMailbox(ctx context.Context, statement string, args ...any) error {
	return personsError(s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	}))
}
