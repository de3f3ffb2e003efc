package sqlite

import (
	"context"
	"crypto/subtle"
)

// Agree keeps a fact about the installation under a name, when there is none yet,
// and reports whether what is kept is value.
func (db *DB) Agree(ctx context.Context, name string, value []byte) (bool, error) {
	var kept []byte
	err := db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.Exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, value); err != nil {
			return err
		}
		return tx.Get(`SELECT value FROM settings WHERE name = ?`, []any{name}, &kept)
	})
	return err == nil && subtle.ConstantTimeCompare(kept, value) == 1, err
}
