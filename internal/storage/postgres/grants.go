package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

var _ idp.GrantStore = (*Persons)(nil)

// KeepGrant implements idp.GrantStore.
func (s *Persons) KeepGrant(ctx context.Context, k idp.KeptGrant) error {
	_, err := s.db.exec(ctx, `INSERT INTO login_grants (tenant, session, issuer, checked_at, due_at, sealed) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant, session) DO UPDATE SET issuer = excluded.issuer, checked_at = excluded.checked_at, due_at = excluded.due_at, sealed = excluded.sealed`,
		k.Tenant, k.Session, k.Issuer, moment(k.Checked), moment(k.Due), k.Sealed)
	return personsError(err)
}

// DueGrants implements idp.GrantStore. Of nodes that ask at once, each gets
// others.
func (s *Persons) DueGrants(ctx context.Context, now, until time.Time, limit int) ([]idp.KeptGrant, error) {
	var due []idp.KeptGrant
	err := s.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		due = nil
		return each(ctx, tx, func(scan scanner) error {
			var k idp.KeptGrant
			err := scan(&k.Tenant, &k.Session, &k.Issuer, (*moment)(&k.Checked), (*moment)(&k.Due), &k.Sealed)
			due = append(due, k)
			return err
		}, `WITH due AS (
				SELECT tenant, session, issuer, checked_at, due_at, sealed FROM login_grants
				WHERE due_at <= $1 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
			UPDATE login_grants g SET due_at = $2 FROM due d WHERE g.tenant = d.tenant AND g.session = d.session
			RETURNING d.tenant, d.session, d.issuer, d.checked_at, d.due_at, d.sealed`, moment(now), moment(until), limit)
	})
	slices.SortFunc(due, func(a, b idp.KeptGrant) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Session, b.Session)) })
	return due, personsError(err)
}

// DropGrant implements idp.GrantStore.
func (s *Persons) DropGrant(ctx context.Context, tenant lodge.Tenant, session string) error {
	_, err := s.db.exec(ctx, `DELETE FROM login_grants WHERE tenant = $1 AND session = $2`, tenant, session)
	return personsError(err)
}
