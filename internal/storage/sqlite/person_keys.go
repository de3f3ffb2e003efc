package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// PersonKeys is the messaging.PersonKeys in a database file. An erased key is
// overwritten there (secure_delete), and its copy in the write-ahead log goes with
// that, unless another view is being read just then: then the next checkpoint
// takes it along.
type PersonKeys struct {
	db   *DB
	wrap *messaging.Wrapping
}

var _ messaging.PersonKeys = (*PersonKeys)(nil)

// NewPersonKeys returns the keys kept in db, wrapped.
func NewPersonKeys(db *DB, wrap *messaging.Wrapping) *PersonKeys { return &PersonKeys{db, wrap} }

// Key implements messaging.PersonKeys.
func (k *PersonKeys) Key(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]byte, error) {
	const query = `SELECT sealed FROM person_keys WHERE tenant = ? AND person = ?`
	var stored []byte
	err := k.db.View(ctx, func(tx *Tx) error { return tx.Get(query, []any{tenant, person}, &stored) })
	if errors.Is(err, sql.ErrNoRows) {
		_, fresh, failed := k.wrap.New(tenant, person)
		if failed != nil {
			return nil, failed
		}
		err = k.db.Update(ctx, func(tx *Tx) error {
			if _, err := tx.Exec(`INSERT INTO person_keys (tenant, person, sealed) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, tenant, person, fresh); err != nil {
				return err
			}
			return tx.Get(query, []any{tenant, person}, &stored)
		})
	}
	switch {
	case err != nil:
		return nil, personKeysError(err)
	case stored == nil:
		return nil, messaging.ErrErased
	}
	return k.wrap.Open(tenant, person, stored)
}

// Keys implements messaging.PersonKeys.
func (k *PersonKeys) Keys(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) (map[lodge.PersonID][]byte, error) {
	list, err := json.Marshal(people)
	if err != nil {
		return nil, fmt.Errorf("sqlite: person keys: %w", err)
	}
	found := make(map[lodge.PersonID][]byte, len(people))
	err = k.db.View(ctx, func(tx *Tx) (err error) {
		rows, err := tx.Query(`SELECT person, sealed FROM person_keys
			WHERE tenant = ? AND person IN (SELECT value FROM json_each(?)) AND sealed IS NOT NULL`, tenant, string(list))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var person lodge.PersonID
			var stored []byte
			if err := rows.Scan(&person, &stored); err != nil {
				return err
			}
			if found[person], err = k.wrap.Open(tenant, person, stored); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, personKeysError(err)
	}
	return found, nil
}

// Erase implements messaging.PersonKeys.
func (k *PersonKeys) Erase(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) error {
	err := k.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO person_keys (tenant, person, sealed) VALUES (?, ?, NULL)
			ON CONFLICT (tenant, person) DO UPDATE SET sealed = NULL`, tenant, person)
		return err
	})
	if err == nil {
		err = k.db.cutLog(ctx)
	}
	return personKeysError(err)
}

// personKeysError says that the store failed, unless the caller gave up.
func personKeysError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return lodge.Wrap(lodge.CodeUnavailable, "Your answers and marks cannot be reached at the moment. Please try again.", err)
}
