package sqlite

import (
	"context"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

var _ idp.LogoutTokens = (*Persons)(nil)

// LoggedOut implements idp.LogoutTokens.
func (s *Persons) LoggedOut(ctx context.Context, tenant lodge.Tenant, issuer, id string) (bool, error) {
	var n int
	err := s.db.View(ctx, func(tx *Tx) error {
		return tx.Get(`SELECT count(*) FROM logout_tokens WHERE tenant = ? AND issuer = ? AND id = ?`, []any{tenant, issuer, id}, &n)
	})
	return n > 0, personsError(err)
}

// KeepLogout implements idp.LogoutTokens.
func (s *Persons) KeepLogout(ctx context.Context, tenant lodge.Tenant, t idp.LogoutToken, now time.Time) error {
	return personsError(s.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(`DELETE FROM logout_tokens WHERE tenant = ? AND ends_at <= ?`, tenant, Micros(now)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO logout_tokens (tenant, issuer, id, ends_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			tenant, t.Issuer, t.ID, Micros(t.Ends))
		return err
	}))
}
