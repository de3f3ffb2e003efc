package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// Sessions is the sessions.Store of an installation without Redis.
type Sessions struct{ db *DB }

var _ sessions.Store = (*Sessions)(nil)

// NewSessions returns the session store of a database.
func NewSessions(db *DB) *Sessions { return &Sessions{db} }

// Create implements sessions.Store.
func (st *Sessions) Create(ctx context.Context, s sessions.Session) error {
	err := st.db.Update(ctx, func(tx *Tx) error { return insertSession(tx, &s) })
	if IsUnique(err) {
		return sessions.ErrExists
	}
	return err
}

// CreateCapped implements sessions.Store. There is one writer: what a person has
// does not change between the look and the insertion.
func (st *Sessions) CreateCapped(ctx context.Context, s sessions.Session, c sessions.Cap) (ended []sessions.Session, err error) {
	err = st.db.Update(ctx, func(tx *Tx) error {
		var list []sessions.Session
		if err := eachSession(tx, s.Tenant, selectOfPerson, []any{string(s.Tenant), string(s.Person), ""}, func(other *sessions.Session) bool {
			if other.Kind == s.Kind {
				list = append(list, *other)
			}
			return true
		}); err != nil {
			return err
		}
		ended = c.Surplus(list)
		for i := range ended {
			c.Revoke(&ended[i])
			ended[i].Version++
			if err := replaceSession(tx, &ended[i]); err != nil {
				return err
			}
		}
		return insertSession(tx, &s)
	})
	switch {
	case IsUnique(err):
		return nil, sessions.ErrExists
	case err != nil:
		return nil, err
	}
	return ended, nil
}

func insertSession(tx *Tx, s *sessions.Session) error {
	_, err := tx.Exec(`INSERT INTO sessions (tenant, id, version, revoked, kind, person, booking, idp_session, ends_at, record)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(s.Tenant), string(s.ID), int64(s.Version), !s.RevokedAt.IsZero(), string(s.Kind), string(s.Person), s.Booking,
		s.IdPSession, Micros(s.End()), sessions.AppendRecord(nil, s))
	return err
}

func replaceSession(tx *Tx, s *sessions.Session) error {
	_, err := tx.Exec(`UPDATE sessions SET version = ?, revoked = ?, ends_at = ?, record = ? WHERE tenant = ? AND id = ?`,
		int64(s.Version), !s.RevokedAt.IsZero(), Micros(s.End()), sessions.AppendRecord(nil, s), string(s.Tenant), string(s.ID))
	return err
}

// Get implements sessions.Store.
func (st *Sessions) Get(ctx context.Context, tenant lodge.Tenant, ids []sessions.ID) (map[sessions.ID]sessions.Session, error) {
	found := make(map[sessions.ID]sessions.Session, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	// Statements are prepared per text: one for one id, which is nearly every
	// call, and one for any number.
	query, arg := `SELECT id, record FROM sessions WHERE tenant = ? AND id = ?`, string(ids[0])
	if len(ids) > 1 {
		list, err := json.Marshal(ids)
		if err != nil {
			return nil, fmt.Errorf("sqlite: session ids: %w", err)
		}
		query, arg = `SELECT id, record FROM sessions WHERE tenant = ? AND id IN (SELECT value FROM json_each(?))`, string(list)
	}
	err := st.db.View(ctx, func(tx *Tx) error {
		return eachSession(tx, tenant, query, []any{string(tenant), arg}, func(s *sessions.Session) bool {
			found[s.ID] = *s
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Update implements sessions.Store.
func (st *Sessions) Update(ctx context.Context, s sessions.Session) error {
	expected := s.Version
	s.Version++
	return st.db.Update(ctx, func(tx *Tx) error {
		var version int64
		var revoked bool
		err := tx.Get(`SELECT version, revoked FROM sessions WHERE tenant = ? AND id = ?`, []any{string(s.Tenant), string(s.ID)}, &version, &revoked)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return sessions.ErrUnknown
		case err != nil:
			return err
		case revoked && s.RevokedAt.IsZero():
			return sessions.ErrRevoked
		case uint64(version) != expected:
			return sessions.ErrStale
		}
		return replaceSession(tx, &s)
	})
}

// selectOfPerson takes the tenant, the person and the id to go on after.
const selectOfPerson = `SELECT id, record FROM sessions WHERE tenant = ? AND person = ? AND person <> '' AND id > ? ORDER BY id`

// List implements sessions.Store. It searches by the narrowest index and looks
// at the rest of the filter on the way.
func (st *Sessions) List(ctx context.Context, tenant lodge.Tenant, f sessions.Filter) ([]sessions.Session, error) {
	query, args := `SELECT id, record FROM sessions WHERE tenant = ? AND id > ? ORDER BY id`, []any{string(tenant), string(f.After)}
	switch {
	case f.IdPSession != "":
		query = `SELECT id, record FROM sessions WHERE tenant = ? AND idp_session = ? AND idp_session <> '' AND id > ? ORDER BY id`
		args = []any{string(tenant), f.IdPSession, string(f.After)}
	case f.Booking != "":
		query = `SELECT id, record FROM sessions WHERE tenant = ? AND booking = ? AND booking <> '' AND id > ? ORDER BY id`
		args = []any{string(tenant), f.Booking, string(f.After)}
	case f.Person != "":
		query = selectOfPerson
		args = []any{string(tenant), string(f.Person), string(f.After)}
	case f.Kind != "":
		query = `SELECT id, record FROM sessions WHERE tenant = ? AND kind = ? AND id > ? ORDER BY id`
		args = []any{string(tenant), string(f.Kind), string(f.After)}
	}
	var list []sessions.Session
	err := st.db.View(ctx, func(tx *Tx) error {
		return eachSession(tx, tenant, query, args, func(s *sessions.Session) bool {
			if f.Matches(s) {
				list = append(list, *s)
			}
			return f.Limit <= 0 || len(list) < f.Limit
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Collect implements sessions.Store.
func (st *Sessions) Collect(ctx context.Context, before time.Time) (int, error) {
	return deleteBatches(ctx, st.db, `DELETE FROM sessions WHERE (tenant, id) IN
		(SELECT tenant, id FROM sessions WHERE ends_at < ? ORDER BY ends_at LIMIT 500)`, Micros(before))
}

// Ping implements sessions.Store.
func (st *Sessions) Ping(ctx context.Context) error {
	return st.db.View(ctx, func(tx *Tx) error {
		var one int
		return tx.Get(`SELECT 1`, nil, &one)
	})
}

// eachSession calls fn for each session of a tenant that a query of ids and
// records gives, until fn returns false.
func eachSession(tx *Tx, tenant lodge.Tenant, query string, args []any, fn func(*sessions.Session) bool) (err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		var record sql.RawBytes
		if err := rows.Scan(&id, &record); err != nil {
			return err
		}
		s, err := sessions.ParseRecord(record)
		if err != nil {
			return fmt.Errorf("sqlite: session %s: %w", id, err)
		}
		if s.Tenant != tenant || s.ID != sessions.ID(id) {
			return fmt.Errorf("sqlite: session %s: %w: it belongs elsewhere", id, sessions.ErrRecord)
		}
		if !fn(&s) {
			return nil
		}
	}
	return rows.Err()
}

// deleteBatches repeats a statement that deletes a bounded number of rows, in
// updates of their own so that others get their turn, until none is left. It
// returns how many rows went.
func deleteBatches(ctx context.Context, db *DB, statement string, args ...any) (int, error) {
	total := 0
	for {
		var n int64
		err := db.Update(ctx, func(tx *Tx) error {
			res, err := tx.Exec(statement, args...)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return total, err
		}
		if total += int(n); n == 0 {
			return total, nil
		}
	}
}
