// Package sqlitetest reads a database file as whoever holds the file can, past
// everything that Lodge puts before it.
package sqlitetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" // the driver
)

// Values returns every value of every table of a database file, in the order of
// their rows. A server may be running on it.
func Values(ctx context.Context, file string) (all []byte, err error) {
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	names, err := read(ctx, db, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		rows, err := read(ctx, db, `SELECT * FROM "`+fmt.Sprint(name[0])+`"`)
		if err != nil {
			return nil, err
		}
		for _, values := range rows {
			all = fmt.Appendf(all, "%s %q\n", name[0], values)
		}
	}
	return all, nil
}

func read(ctx context.Context, db *sql.DB, query string) (all [][]any, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, values)
	}
	return all, rows.Err()
}
