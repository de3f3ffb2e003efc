package postgres

import (
	"context"
	"crypto/subtle"

	"github.com/jackc/pgx/v5"
)

// Agree keeps a fact about the installation under a name, when there is none yet,
// and reports whether what is kept is value: the nodes of an installation must
// agree on some things.
func (db *DB) Agree(ctx context.Context, name string, value []byte) (bool, error) {
	var kept []byte
	err := db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, value); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT value FROM settings WHERE name = $1`, name).Scan(&kept)
	})
	return err == nil && subtle.ConstantTimeCompare(kept, value) == 1, err
}
