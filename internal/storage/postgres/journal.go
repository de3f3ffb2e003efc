package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

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
	// In one order on all nodes, so that two that record the same sessions do not
	// wait for one another.
	rs = slices.Clone(rs)
	slices.SortStableFunc(rs, func(a, b sessions.Revocation) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.ID, b.ID))
	})
	record := func(ctx context.Context, tx pgx.Tx) error {
		var batch pgx.Batch
		for _, r := range rs {
			batch.Queue(`INSERT INTO revocations AS r (tenant, id, revoked_at, reason, messages_until, ends_at) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (tenant, id) DO UPDATE SET
					reason         = CASE WHEN excluded.revoked_at < r.revoked_at THEN excluded.reason ELSE r.reason END,
					revoked_at     = least(r.revoked_at, excluded.revoked_at),
					messages_until = least(r.messages_until, excluded.messages_until),
					ends_at        = greatest(r.ends_at, excluded.ends_at)`,
				string(r.Tenant), string(r.ID), Micros(r.At), r.Reason, Micros(r.MessagesUntil), Micros(r.End))
		}
		return tx.SendBatch(ctx, &batch).Close()
	}
	for try := 1; ; try++ {
		err := j.db.locked(ctx, record)
		// It may be repeated, so it is, rather than leave a revocation in doubt.
		if !errors.Is(err, ErrUncertain) || try == tries || !pause(ctx, try) {
			return err
		}
	}
}

// Standing implements sessions.Journal.
func (j *Journal) Standing(ctx context.Context, tenant lodge.Tenant, at time.Time) ([]sessions.Revocation, error) {
	query, args := `SELECT tenant, id, revoked_at, reason, messages_until, ends_at FROM revocations WHERE ends_at >= $1`, []any{Micros(at)}
	if tenant != "" {
		query, args = query+` AND tenant = $2`, append(args, string(tenant))
	}
	var list []sessions.Revocation
	err := j.db.View(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (sessions.Revocation, error) {
			var r sessions.Revocation
			var revoked, messages, ends int64
			err := row.Scan(&r.Tenant, &r.ID, &revoked, &r.Reason, &messages, &ends)
			r.At, r.MessagesUntil, r.End = Time(revoked), Time(messages), Time(ends)
			return r, err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Collect implements sessions.Journal.
func (j *Journal) Collect(ctx context.Context, before time.Time) (int, error) {
	const each = 500 // in one transaction
	for n := 0; ; {
		var gone int
		err := j.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
			done, err := tx.Exec(ctx, `DELETE FROM revocations WHERE (tenant, id) IN (
				SELECT tenant, id FROM revocations WHERE ends_at < $1 ORDER BY ends_at LIMIT $2 FOR UPDATE SKIP LOCKED)`, Micros(before), each)
			gone = int(done.RowsAffected())
			return err
		})
		if err != nil {
			return n, err
		}
		n += gone
		if gone < each {
			return n, nil
		}
	}
}
