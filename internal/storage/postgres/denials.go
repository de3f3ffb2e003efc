package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

// Denials are the relay.Denials of an installation without Redis, and what a
// Redis is told when it may have forgotten.
type Denials struct{ db *DB }

var _ relay.Denials = (*Denials)(nil)

// NewDenials returns the denials of a database.
func NewDenials(db *DB) *Denials { return &Denials{db} }

// Deny implements relay.Denials.
func (d *Denials) Deny(ctx context.Context, tenant lodge.Tenant, key relay.DenialKey, until, now time.Time) error {
	return d.put(ctx, tenant, key, true, until, now)
}

// Allow implements relay.Denials.
func (d *Denials) Allow(ctx context.Context, tenant lodge.Tenant, key relay.DenialKey, until, now time.Time) error {
	return d.put(ctx, tenant, key, false, until, now)
}

// put writes an entry, over one of the other sort but never shortening one of
// the same, and clears away what has long ended.
func (d *Denials) put(ctx context.Context, tenant lodge.Tenant, key relay.DenialKey, denied bool, until, now time.Time) error {
	return d.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// What another node writes or clears away just now is left to it.
		if _, err := tx.Exec(ctx, `DELETE FROM denials WHERE (tenant, name) IN
			(SELECT tenant, name FROM denials WHERE until < $1 FOR UPDATE SKIP LOCKED)`, moment(now.Add(-relay.DenialsKept))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO denials AS d (tenant, name, denied, until) VALUES ($1, $2, $3, $4)
			ON CONFLICT (tenant, name) DO UPDATE SET
				until  = CASE WHEN d.denied = excluded.denied THEN greatest(d.until, excluded.until) ELSE excluded.until END,
				denied = excluded.denied`,
			tenant, key, denied, moment(until))
		return err
	})
}

// Denied implements relay.Denials.
func (d *Denials) Denied(ctx context.Context, tenant lodge.Tenant, now time.Time, keys ...relay.DenialKey) ([]relay.DenialKey, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var found []relay.DenialKey
	err := d.each(ctx, func() { found = nil }, func(one relay.Denial, _ bool) { found = append(found, one.Key) },
		`SELECT tenant, name, denied, until FROM denials WHERE tenant = $1 AND name = ANY($2) AND denied AND until > $3`,
		tenant, keys, moment(now))
	return found, err
}

// List implements relay.Denials.
func (d *Denials) List(ctx context.Context, tenant lodge.Tenant, now time.Time) (denied, allowed []relay.DenialKey, err error) {
	err = d.each(ctx, func() { denied, allowed = nil, nil }, func(one relay.Denial, isDenied bool) {
		if isDenied {
			denied = append(denied, one.Key)
		} else {
			allowed = append(allowed, one.Key)
		}
	}, `SELECT tenant, name, denied, until FROM denials WHERE tenant = $1 AND until > $2 ORDER BY name`, tenant, moment(now))
	return denied, allowed, err
}

// Standing returns what is denied now, in every tenant.
func (d *Denials) Standing(ctx context.Context, now time.Time) ([]relay.Denial, error) {
	var list []relay.Denial
	err := d.each(ctx, func() { list = nil }, func(one relay.Denial, _ bool) { list = append(list, one) },
		`SELECT tenant, name, denied, until FROM denials WHERE denied AND until > $1`, moment(now))
	return list, err
}

// each calls fn for each entry that a query gives.
func (d *Denials) each(ctx context.Context, begin func(), fn func(relay.Denial, bool), query string, args ...any) error {
	return d.db.each(ctx, begin, func(scan scanner) error {
		var one relay.Denial
		var denied bool
		err := scan(&one.Tenant, &one.Key, &denied, (*moment)(&one.Until))
		fn(one, denied)
		return err
	}, query, args...)
}
