package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

var _ idp.GrantStore = (*Persons)(nil)

// KeepGrant implements idp.GrantStore.
func (s *Persons) KeepGrant(ctx context.Context, k idp.KeptGrant) error {
	return personsError(s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO login_grants (tenant, session, issuer, checked_at, due_at, sealed) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, session) DO UPDATE SET issuer = excluded.issuer, checked_at = excluded.checked_at, due_at = excluded.due_at, sealed = excluded.sealed`,
			k.Tenant, k.Session, k.Issuer, Micros(k.Checked), Micros(k.Due), k.Sealed)
		return err
	}))
}

// DueGrants implements idp.GrantStore.
func (s *Persons) DueGrants(ctx context.Context, now, until time.Time, limit int) ([]idp.KeptGrant, error) {
	var due []idp.KeptGrant
	err := s.db.Update(ctx, func(tx *Tx) (err error) {
		due = nil
		rows, err := tx.Query(`SELECT tenant, session, issuer, checked_at, due_at, sealed FROM login_grants
			WHERE due_at <= ? ORDER BY due_at LIMIT ?+0`, Micros(now), limit)
		if err != nil {
			return err
		}
		for rows.Next() {
			var k idp.KeptGrant
			var checked, dueAt int64
			if err := rows.Scan(&k.Tenant, &k.Session, &k.Issuer, &checked, &dueAt, &k.Sealed); err != nil {
				return errors.Join(err, rows.Close())
			}
			k.Checked, k.Due = Time(checked), Time(dueAt)
			due = append(due, k)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for _, k := range due {
			if _, err := tx.Exec(`UPDATE login_grants SET due_at = ? WHERE tenant = ? AND session = ?`, Micros(until), k.Tenant, k.Session); err != nil {
				return err
			}
		}
		return nil
	})
	return due, personsError(err)
}

// DropGrant implements idp.GrantStore.
func (s *Persons) DropGrant(ctx context.Context, tenant lodge.Tenant, session string) error {
	return personsError(s.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`DELETE FROM login_grants WHERE tenant = ? AND session = ?`, tenant, session)
		return err
	}))
}
