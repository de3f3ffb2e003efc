package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// Journal is the sessions.Journal: revocations on disk before they are answered.
type Journal struct{ db *DB }

var _ sessions.Journal = (*Journal)(nil)

// NewJournal returns the journal of a database.
func NewJournal(db *DB) *Journal { return &Journal{db} }

// Record implements sessions.Journal.
func (j *Journal) Record(ctx context.Context, rs ...sessions.Revocation) error {
	return j.db.Update(ctx, func(tx *Tx) error {
		for _, r := range rs {
			_, err := tx.Exec(`INSERT INTO revocations (tenant, id, revoked_at, reason, messages_until, ends_at) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT (tenant, id) DO UPDATE SET
					reason         = iif(excluded.revoked_at < revoked_at, excluded.reason, reason),
					revoked_at     = min(revoked_at, excluded.revoked_at),
					messages_until = min(messages_until, excluded.messages_until),
					ends_at        = max(ends_at, excluded.ends_at)`,
				string(r.Tenant), string(r.ID), Micros(r.At), r.Reason, Micros(r.MessagesUntil), Micros(r.End))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Standing implements sessions.Journal.
func (j *Journal) Standing(ctx context.Context, tenant lodge.Tenant, at time.Time) ([]sessions.Revocation, error) {
	var list []sessions.Revocation
	err := j.db.View(ctx, func(tx *Tx) (err error) {
		rows, err := tx.Query(`SELECT tenant, id, revoked_at, reason, messages_until, ends_at FROM revocations
			WHERE ends_at >= ?1 AND (?2 = '' OR tenant = ?2)`, Micros(at), string(tenant))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var r sessions.Revocation
			var tenant, id string
			var revoked, messages, ends int64
			if err := rows.Scan(&tenant, &id, &revoked, &r.Reason, &messages, &ends); err != nil {
				return err
			}
			r.Tenant, r.ID = lodge.Tenant(tenant), sessions.ID(id)
			r.At, r.MessagesUntil, r.End = Time(revoked), Time(messages), Time(ends)
			list = append(list, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Collect implements sessions.Journal.
func (j *Journal) Collect(ctx context.Context, before time.Time) (int, error) {
	return deleteBatches(ctx, j.db, `DELETE FROM revocations WHERE (tenant, id) IN
		(SELECT tenant, id FROM revocations WHERE ends_at < ? ORDER BY ends_at LIMIT 500)`, Micros(before))
}
