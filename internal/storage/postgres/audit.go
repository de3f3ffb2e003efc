package postgres

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// Audit is the audit.Store in a database: one chain for all nodes.
type Audit struct{ db *DB }

var _ audit.Store = (*Audit)(nil)

// NewAudit returns the audit trail kept in db.
func NewAudit(db *DB) *Audit { return &Audit{db} }

// Append implements audit.Store. Between reading the head and storing what
// follows it no node appends: each waits for its turn.
func (a *Audit) Append(ctx context.Context, seal func(audit.Head) []audit.Entry) error {
	return a.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT one FROM audit_turn FOR UPDATE`); err != nil {
			return err
		}
		head, err := auditHead(ctx, tx)
		if err != nil {
			return err
		}
		var batch pgx.Batch
		for _, e := range seal(head) {
			batch.Queue(`INSERT INTO audit (seq, time, tenant, actor, action, object, reason, address, mac) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
				e.Seq, moment(e.Time), e.Tenant, e.Actor, e.Action, e.Object, e.Reason, e.Address, e.MAC[:])
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
}

// Head implements audit.Store.
func (a *Audit) Head(ctx context.Context) (head audit.Head, err error) {
	err = a.db.View(ctx, func(ctx context.Context, tx pgx.Tx) error {
		head, err = auditHead(ctx, tx)
		return err
	})
	return head, err
}

func auditHead(ctx context.Context, tx pgx.Tx) (head audit.Head, err error) {
	var mac []byte
	some, err := found(tx.QueryRow(ctx, `SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1`).Scan(&head.Seq, &mac))
	if !some {
		return audit.Head{}, err
	}
	copy(head.MAC[:], mac) // one of another length was tampered with, and matches nothing
	return head, nil
}

const selectAudit = `SELECT seq, time, tenant, actor, action, object, reason, address, mac FROM audit `

// Read implements audit.Store.
func (a *Audit) Read(ctx context.Context, after uint64, limit int) ([]audit.Entry, error) {
	return a.entries(ctx, selectAudit+`WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
}

// List implements audit.Store.
func (a *Audit) List(ctx context.Context, tenant lodge.Tenant, f audit.Filter) ([]audit.Entry, error) {
	where, args := `WHERE tenant = $1 AND seq > $2`, []any{tenant, f.After}
	and := func(condition string, arg any) {
		args = append(args, arg)
		where += ` AND ` + condition + `$` + strconv.Itoa(len(args))
	}
	if f.Actor != "" {
		and(`actor = `, cleaned(f.Actor))
	}
	if f.Action != "" {
		and(`action = `, cleaned(string(f.Action)))
	}
	if f.Object != "" {
		and(`object = `, cleaned(f.Object))
	}
	if len(f.Who) > 0 {
		args = append(args, escapedAll(f.Who))
		n := strconv.Itoa(len(args))
		where += ` AND (actor = ANY($` + n + `) OR object = ANY($` + n + `))`
	}
	if !f.From.IsZero() {
		and(`time >= `, moment(f.From))
	}
	if !f.Until.IsZero() {
		and(`time < `, moment(f.Until))
	}
	if f.Before > 0 {
		and(`seq < `, f.Before)
	}
	order := ` ORDER BY seq`
	if f.Newest {
		order += ` DESC`
	}
	args = append(args, f.Limit)
	entries, err := a.entries(ctx, selectAudit+where+order+` LIMIT $`+strconv.Itoa(len(args)), args...)
	if f.Newest {
		slices.Reverse(entries)
	}
	return entries, err
}

func (a *Audit) entries(ctx context.Context, query string, args ...any) ([]audit.Entry, error) {
	var entries []audit.Entry
	err := a.db.each(ctx, func() { entries = nil }, func(scan scanner) error {
		var e audit.Entry
		var mac []byte
		if err := scan(&e.Seq, (*moment)(&e.Time), &e.Tenant, &e.Actor, &e.Action, &e.Object, &e.Reason, &e.Address, &mac); err != nil {
			return err
		}
		copy(e.MAC[:], mac) // as above
		entries = append(entries, e)
		return nil
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("postgres: audit: %w", err)
	}
	return entries, nil
}
