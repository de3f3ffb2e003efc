package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// rigRows is how many rows the bare limit of availability reads.
const rigRows = 2000

// bareSQLite is SQLite with nothing of Lodge's around it: one row of a booking's
// size in a table with one index, synced at every commit.
type bareSQLite struct {
	db           *sql.DB
	writer       *sql.Conn
	insertion, q *sql.Stmt
	next         int
}

func newBareSQLite(ctx context.Context, path string) (*bareSQLite, error) {
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	b := &bareSQLite{db: db}
	if b.writer, err = db.Conn(ctx); err == nil {
		_, err = b.writer.ExecContext(ctx, `CREATE TABLE bookings (id INTEGER PRIMARY KEY, experiment TEXT NOT NULL, start_at INTEGER NOT NULL, body BLOB NOT NULL)`)
	}
	if err == nil {
		_, err = b.writer.ExecContext(ctx, `CREATE INDEX diary ON bookings (experiment, start_at)`)
	}
	if err == nil {
		b.insertion, err = b.writer.PrepareContext(ctx, `INSERT INTO bookings (experiment, start_at, body) VALUES (?, ?, ?)`)
	}
	if err == nil {
		b.q, err = db.PrepareContext(ctx, `SELECT start_at, id FROM bookings WHERE experiment = ? AND start_at >= ? ORDER BY start_at LIMIT 2000`)
	}
	if err != nil {
		return nil, errors.Join(err, b.close(ctx))
	}
	return b, nil
}

var bareBody = make([]byte, 400)

func (b *bareSQLite) insert(ctx context.Context, rows int) error {
	return b.rows(ctx, rows, func() string { return fmt.Sprint("x", b.next%100) })
}

func (b *bareSQLite) rows(ctx context.Context, rows int, experiment func() string) error {
	if _, err := b.writer.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for range rows {
		b.next++
		if _, err := b.insertion.ExecContext(ctx, experiment(), b.next, bareBody); err != nil {
			_, undone := b.writer.ExecContext(ctx, "ROLLBACK")
			return errors.Join(err, undone)
		}
	}
	_, err := b.writer.ExecContext(ctx, "COMMIT")
	return err
}

func (b *bareSQLite) read(ctx context.Context, fill bool) (n int, err error) {
	if fill {
		return rigRows, b.rows(ctx, rigRows, func() string { return "rig" })
	}
	rows, err := b.q.QueryContext(ctx, "rig", 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var start, id int64
		if err := rows.Scan(&start, &id); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

func (b *bareSQLite) close(context.Context) error {
	var errs []error
	if b.writer != nil {
		errs = append(errs, b.writer.Close())
	}
	return errors.Join(append(errs, b.db.Close())...)
}

// barePostgres is a table with one index, and a commit an insertion.
type barePostgres struct{ pool *pgxpool.Pool }

func newBarePostgres(ctx context.Context, address string, conns int) (*barePostgres, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(min(conns, 32))
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	b := &barePostgres{pool}
	_, err = pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS lodge_bench_bookings (id bigserial PRIMARY KEY, experiment text NOT NULL, start_at bigint NOT NULL, body bytea NOT NULL);
		CREATE INDEX IF NOT EXISTS lodge_bench_diary ON lodge_bench_bookings (experiment, start_at)`)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return b, nil
}

func (b *barePostgres) insert(ctx context.Context, rows int) error {
	_, err := b.pool.Exec(ctx, `INSERT INTO lodge_bench_bookings (experiment, start_at, body) SELECT 'x', n, $2 FROM generate_series(1, $1::int) n`, rows, bareBody)
	return err
}

func (b *barePostgres) read(ctx context.Context, fill bool) (int, error) {
	if fill {
		_, err := b.pool.Exec(ctx, `INSERT INTO lodge_bench_bookings (experiment, start_at, body) SELECT 'rig', n, $2 FROM generate_series(1, $1::int) n`, rigRows, bareBody)
		return rigRows, err
	}
	rows, err := b.pool.Query(ctx, `SELECT start_at, id FROM lodge_bench_bookings WHERE experiment = 'rig' AND start_at >= 0 ORDER BY start_at LIMIT 2000`)
	if err != nil {
		return 0, err
	}
	var start, id int64
	done, err := pgx.ForEachRow(rows, []any{&start, &id}, func() error { return nil })
	return int(done.RowsAffected()), err
}

func (b *barePostgres) close(ctx context.Context) error {
	_, err := b.pool.Exec(ctx, `DROP TABLE lodge_bench_bookings`)
	b.pool.Close()
	return err
}
