package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

var _ idp.LogoutTokens = (*Persons)(nil)

// LoggedOut implements idp.LogoutTokens.
func (s *Persons) LoggedOut(ctx context.Context, tenant lodge.Tenant, issuer, id string) (known bool, err error) {
	err = s.db.View(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM logout_tokens WHERE tenant = $1 AND issuer = $2 AND id = $3)`,
			tenant, escaped(issuer), escaped(id)).Scan(&known)
	})
	return known, personsError(err)
}

// KeepLogout implements idp.LogoutTokens.
func (s *Persons) KeepLogout(ctx context.Context, tenant lodge.Tenant, t idp.LogoutToken, now time.Time) error {
	return personsError(s.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM logout_tokens WHERE (tenant, issuer, id) IN
			(SELECT tenant, issuer, id FROM logout_tokens WHERE tenant = $1 AND ends_at <= $2 FOR UPDATE SKIP LOCKED)`, tenant, moment(now)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO logout_tokens (tenant, issuer, id, ends_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			tenant, escaped(t.Issuer), escaped(t.ID), moment(t.Ends))
		return err
	}))
}
