package sqlite

import (
	"testing"

	"github.com/lodge-gateway/lodge/internal/audit/audittest"
)

func TestAudit(t *testing.T) {
	audittest.Run(t, func(t *testing.T) audittest.Harness {
		db := open(t)
		return audittest.Harness{Store: NewAudit(db), Exec: func(statement string, unguarded bool) error {
			return db.Update(t.Context(), func(tx *Tx) error {
				statements := []string{statement}
				if unguarded {
					statements = []string{`DROP TRIGGER audit_no_update`, `DROP TRIGGER audit_no_delete`, statement}
				}
				for _, one := range statements {
					if _, err := tx.Exec(one); err != nil {
						return err
					}
				}
				return nil
			})
		}}
	})
}
