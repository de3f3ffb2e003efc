package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// PersonKeys is the messaging.PersonKeys. An erased key stays in the server's
// files, wrapped, until the table is vacuumed and its write-ahead log recycled.
type PersonKeys struct {
	db   *DB
	wrap *messaging.Wrapping
}

var _ messaging.PersonKeys = (*PersonKeys)(nil)

// NewPersonKeys returns the keys kept in db, wrapped.
func NewPersonKeys(db *DB, wrap *messaging.Wrapping) *PersonKeys { return &PersonKeys{db, wrap} }

const selectPersonKey = `SELECT sealed FROM person_keys WHERE tenant = $1 AND person = $2`

// Key implements messaging.PersonKeys.
func (k *PersonKeys) Key(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]byte, error) {
	stored, there, err := k.stored(ctx, tenant, person)
	if err == nil && !there {
		_, fresh, failed := k.wrap.New(tenant, person)
		if failed != nil {
			return nil, failed
		}
		if err = k.repeated(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO person_keys (tenant, person, sealed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
				string(tenant), string(person), fresh)
			return err
		}); err == nil {
			stored, _, err = k.stored(ctx, tenant, person)
		}
	}
	switch {
	case err != nil:
		return nil, personKeysError(err)
	case stored == nil:
		return nil, messaging.ErrErased
	}
	return k.wrap.Open(tenant, person, stored)
}

func (k *PersonKeys) stored(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) (stored []byte, there bool, err error) {
	err = k.db.View(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		there, err = found(tx.QueryRow(ctx, selectPersonKey, string(tenant), string(person)).Scan(&stored))
		return err
	})
	return stored, there, err
}

// Keys implements messaging.PersonKeys.
func (k *PersonKeys) Keys(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) (map[lodge.PersonID][]byte, error) {
	ids := make([]string, len(people))
	for i, person := range people {
		ids[i] = string(person)
	}
	var keys map[lodge.PersonID][]byte
	err := k.db.View(ctx, func(ctx context.Context, tx pgx.Tx) error {
		keys = make(map[lodge.PersonID][]byte, len(people))
		rows, err := tx.Query(ctx, `SELECT person, sealed FROM person_keys
			WHERE tenant = $1 AND person = ANY($2) AND sealed IS NOT NULL`, string(tenant), ids)
		if err != nil {
			return err
		}
		var person lodge.PersonID
		var stored []byte
		_, err = pgx.ForEachRow(rows, []any{&person, &stored}, func() (err error) {
			keys[person], err = k.wrap.Open(tenant, person, stored)
			return err
		})
		return err
	})
	if err != nil {
		return nil, personKeysError(err)
	}
	return keys, nil
}

// Erase implements messaging.PersonKeys.
func (k *PersonKeys) Erase(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) error {
	return personKeysError(k.repeated(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO person_keys (tenant, person, sealed) VALUES ($1, $2, NULL)
			ON CONFLICT (tenant, person) DO UPDATE SET sealed = NULL`, string(tenant), string(person))
		return err
	}))
}

// repeated writes what may be written twice, and so leaves nothing in doubt.
func (k *PersonKeys) repeated(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	for try := 1; ; try++ {
		err := k.db.locked(ctx, fn)
		if !errors.Is(err, ErrUncertain) || try == tries || !pause(ctx, try) {
			return err
		}
	}
}

// personKeysError says that the store failed, unless the caller gave up.
func personKeysError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return lodge.Wrap(lodge.CodeUnavailable, "Your answers and marks cannot be reached at the moment. Please try again.", err)
}
