package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// Audit is the audit.Store in a database file.
type Audit struct{ db *DB }

var _ audit.Store = (*Audit)(nil)

// NewAudit returns the audit trail kept in db.
func NewAudit(db *DB) *Audit { return &Audit{db} }

// Append implements audit.Store. There is one writer: between reading the head
// and storing what follows it nothing is written.
func (a *Audit) Append(ctx context.Context, seal func(audit.Head) []audit.Entry) error {
	return a.db.Update(ctx, func(tx *Tx) error {
		head, err := auditHead(tx)
		if err != nil {
			return err
		}
		for _, e := range seal(head) {
			_, err := tx.Exec(`INSERT INTO audit (seq, time, tenant, actor, action, object, reason, address, mac) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				int64(e.Seq), Micros(e.Time), string(e.Tenant), e.Actor, string(e.Action), e.Object, e.Reason, e.Address, e.MAC[:])
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Head implements audit.Store.
func (a *Audit) Head(ctx context.Context) (head audit.Head, err error) {
	err = a.db.View(ctx, func(tx *Tx) error {
		head, err = auditHead(tx)
		return err
	})
	return head, err
}

func auditHead(tx *Tx) (head audit.Head, err error) {
	var mac []byte
	err = tx.Get(`SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1`, nil, &head.Seq, &mac)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, nil
	}
	copy(head.MAC[:], mac) // one of another length was tampered with, and matches nothing
	return head, err
}

const selectAudit = `SELECT seq, time, tenant, actor, action, object, reason, address, mac FROM audit `

// Read implements audit.Store.
func (a *Audit) Read(ctx context.Context, after uint64, limit int) ([]audit.Entry, error) {
	return a.entries(ctx, selectAudit+`WHERE seq > ? ORDER BY seq LIMIT ?+0`, int64(after), limit)
}

// List implements audit.Store.
func (a *Audit) List(ctx context.Context, tenant lodge.Tenant, f audit.Filter) ([]audit.Entry, error) {
	where, args := `WHERE tenant = ? AND seq > ?`, []any{string(tenant), int64(f.After)}
	if f.Actor != "" {
		where, args = where+` AND actor = ?`, append(args, f.Actor)
	}
	if f.Action != "" {
		where, args = where+` AND action = ?`, append(args, string(f.Action))
	}
	if f.Object != "" {
		where, args = where+` AND object = ?`, append(args, f.Object)
	}
	if len(f.Who) > 0 {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(f.Who)), ", ")
		where += ` AND (actor IN (` + marks + `) OR object IN (` + marks + `))`
		for range 2 {
			for _, one := range f.Who {
				args = append(args, one)
			}
		}
	}
	if !f.From.IsZero() {
		where, args = where+` AND time >= ?`, append(args, Micros(f.From))
	}
	if !f.Until.IsZero() {
		where, args = where+` AND time < ?`, append(args, Micros(f.Until))
	}
	if f.Before > 0 {
		where, args = where+` AND seq < ?`, append(args, int64(f.Before))
	}
	if !f.Newest {
		return a.entries(ctx, selectAudit+where+` ORDER BY seq LIMIT ?+0`, append(args, f.Limit)...)
	}
	entries, err := a.entries(ctx, selectAudit+where+` ORDER BY seq DESC LIMIT ?+0`, append(args, f.Limit)...)
	slices.Reverse(entries)
	return entries, err
}

func (a *Audit) entries(ctx context.Context, query string, args ...any) ([]audit.Entry, error) {
	var entries []audit.Entry
	err := a.db.View(ctx, func(tx *Tx) (err error) {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var e audit.Entry
			var at int64
			var mac sql.RawBytes
			if err := rows.Scan(&e.Seq, &at, &e.Tenant, &e.Actor, &e.Action, &e.Object, &e.Reason, &e.Address, &mac); err != nil {
				return err
			}
			e.Time = Time(at)
			copy(e.MAC[:], mac) // as above
			entries = append(entries, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: audit: %w", err)
	}
	return entries, nil
}
