package sqlite

import (
	"context"

	"github.com/lodge-gateway/lodge"
)

// Erase implements idp.Erasures. What a subject gave goes with it.
func (s *Persons) Erase(ctx context.Context, tenant lodge.Tenant, ids ...lodge.PersonID) error {
	return personsError(s.db.Update(ctx, func(tx *Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec(`UPDATE persons SET name = '', family_name = '', email = '', disabled = 1 WHERE tenant = ? AND id = ?`, tenant, id); err != nil {
				return err
			}
			if _, err := tx.Exec(`DELETE FROM person_mailboxes WHERE tenant = ? AND person = ?`, tenant, id); err != nil {
				return err
			}
			if _, err := tx.Exec(`DELETE FROM group_members WHERE tenant = ? AND person = ?`, tenant, id); err != nil {
				return err
			}
			if _, err := tx.Exec(`DELETE FROM person_subjects WHERE tenant = ? AND person = ?`, tenant, id); err != nil {
				return err
			}
		}
		return nil
	}))
}
