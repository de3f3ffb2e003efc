package postgres

import (
	"context"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Mailbox implements idp.Mailboxes.
func (s *Persons) Mailbox(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID) (idp.Mailbox, error) {
	var m idp.Mailbox
	err := s.view(ctx, func(tx persons) error {
		m = idp.Mailbox{}
		_, err := found(tx.tx.QueryRow(ctx, `SELECT address, language, off, no_reminders FROM person_mailboxes WHERE tenant = $1 AND person = $2`,
			tenant, id).Scan(&m.Address, &m.Language, &m.Off, &m.NoReminders))
		return err
	})
	return m, err
}

// NoteMailbox implements idp.Mailboxes.
func (s *Persons) NoteMailbox(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, address, language string) error {
	_, err := s.db.exec(ctx, `INSERT INTO person_mailboxes AS m (tenant, person, address, language, off, no_reminders) VALUES ($1, $2, $3, $4, false, false)
		ON CONFLICT (tenant, person) DO UPDATE SET
			address = coalesce(nullif(excluded.address, ''), m.address), language = coalesce(nullif(excluded.language, ''), m.language)`,
		tenant, id, cleaned(address), cleaned(language))
	return personsError(err)
}

// ChooseMail implements idp.Mailboxes.
func (s *Persons) ChooseMail(ctx context.Context, tenant lodge.Tenant, id lodge.PersonID, off, noReminders bool) error {
	_, err := s.db.exec(ctx, `INSERT INTO person_mailboxes (tenant, person, address, language, off, no_reminders) VALUES ($1, $2, '', '', $3, $4)
		ON CONFLICT (tenant, person) DO UPDATE SET off = excluded.off, no_reminders = excluded.no_reminders`,
		tenant, id, off, noReminders)
	return personsError(err)
}
