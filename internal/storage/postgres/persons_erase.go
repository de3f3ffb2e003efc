package postgres

import (
	"context"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// Erase implements idp.Erasures. What a subject gave goes with it.
func (s *Persons) Erase(ctx context.Context, tenant lodge.Tenant, ids ...lodge.PersonID) error {
	_, err := s.change(ctx, func(tx persons) (idp.Person, error) {
		for _, id := range ids {
			if err := tx.exec(`UPDATE persons SET name = '', family_name = '', email = '', disabled = true WHERE tenant = $1 AND id = $2`, tenant, id); err != nil {
				return idp.Person{}, err
			}
			if err := tx.exec(`DELETE FROM person_mailboxes WHERE tenant = $1 AND person = $2`, tenant, id); err != nil {
				return idp.Person{}, err
			}
			if err := tx.exec(`DELETE FROM group_members WHERE tenant = $1 AND person = $2`, tenant, id); err != nil {
				return idp.Person{}, err
			}
			if err := tx.exec(`DELETE FROM person_subjects WHERE tenant = $1 AND person = $2`, tenant, id); err != nil {
				return idp.Person{}, err
			}
		}
		return idp.Person{}, nil
	})
	return err
}
