package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/audit/audittest"
)

func TestAudit(t *testing.T) {
	audittest.Run(t, func(t *testing.T) audittest.Harness {
		url := fresh(t)
		db := open(t, url)
		nodes := []audit.Store{NewAudit(open(t, url)), NewAudit(open(t, url))}
		return audittest.Harness{Store: NewAudit(db), Nodes: nodes, Exec: func(statement string, unguarded bool) error {
			return db.Update(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				if unguarded {
					if _, err := tx.Exec(ctx, `DROP TRIGGER audit_append_only ON audit`); err != nil {
						return err
					}
				}
				_, err := tx.Exec(ctx, statement)
				return err
			})
		}}
	})
}
