package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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
	return d.db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(`DELETE FROM denials WHERE until < ?`, Micros(now.Add(-relay.DenialsKept))); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO denials (tenant, name, denied, until) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant, name) DO UPDATE SET
				until  = iif(denied = excluded.denied, max(until, excluded.until), excluded.until),
				denied = excluded.denied`,
			string(tenant), string(key), denied, Micros(until))
		return err
	})
}

// Denied implements relay.Denials.
func (d *Denials) Denied(ctx context.Context, tenant lodge.Tenant, now time.Time, keys ...relay.DenialKey) ([]relay.DenialKey, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	names, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("sqlite: denials: %w", err)
	}
	var found []relay.DenialKey
	err = d.each(ctx, `SELECT tenant, name, denied, until FROM denials
		WHERE tenant = ? AND name IN (SELECT value FROM json_each(?)) AND denied AND until > ?`,
		[]any{string(tenant), string(names), Micros(now)}, func(one relay.Denial, _ bool) { found = append(found, one.Key) })
	return found, err
}

// List implements relay.Denials.
func (d *Denials) List(ctx context.Context, tenant lodge.Tenant, now time.Time) (denied, allowed []relay.DenialKey, err error) {
	err = d.each(ctx, `SELECT tenant, name, denied, until FROM denials WHERE tenant = ? AND until > ? ORDER BY name`,
		[]any{string(tenant), Micros(now)}, func(one relay.Denial, isDenied bool) {
			if isDenied {
				denied = append(denied, one.Key)
			} else {
				allowed = append(allowed, one.Key)
			}
		})
	return denied, allowed, err
}

// Standing returns what is denied now, in every tenant.
func (d *Denials) Standing(ctx context.Context, now time.Time) ([]relay.Denial, error) {
	var list []relay.Denial
	err := d.each(ctx, `SELECT tenant, name, denied, until FROM denials WHERE denied AND until > ?`,
		[]any{Micros(now)}, func(one relay.Denial, _ bool) { list = append(list, one) })
	return list, err
}

// each calls fn for each entry that a query gives.
func (d *Denials) each(ctx context.Context, query string, args []any, fn func(relay.Denial, bool)) error {
	return d.db.View(ctx, func(tx *Tx) (err error) {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var tenant, name string
			var denied bool
			var until int64
			if err := rows.Scan(&tenant, &name, &denied, &until); err != nil {
				return err
			}
			fn(relay.Denial{Tenant: lodge.Tenant(tenant), Key: relay.DenialKey(name), Until: Time(until)}, denied)
		}
		return rows.Err()
	})
}
