package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// exec runs one statement that locks what it decides by, and returns how many
// rows it changed.
func (db *DB) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	var n int64
	err := db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		done, err := tx.Exec(ctx, statement, args...)
		n = done.RowsAffected()
		return err
	})
	return n, err
}

// A scanner reads the columns of a row.
type scanner func(dest ...any) error

// each calls fn for every row of a query. fn may keep what it scans.
func each(ctx context.Context, tx pgx.Tx, fn func(scan scanner) error, query string, args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// each is the function each on one snapshot. begin, called before the first row
// and again should the server go away, undoes what fn did.
func (db *DB) each(ctx context.Context, begin func(), fn func(scan scanner) error, query string, args ...any) error {
	return db.View(ctx, func(ctx context.Context, tx pgx.Tx) error {
		begin()
		return each(ctx, tx, fn, query, args...)
	})
}
