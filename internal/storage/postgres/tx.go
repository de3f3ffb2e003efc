package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// How often a transaction is begun before its error is the caller's.
const (
	tries    = 5  // when the server goes away
	meetings = 60 // when it meets others: of those that meet, one at least gets on
)

// ErrUncertain says that the connection was lost while the server was asked to
// commit: it may have.
var ErrUncertain = errors.New("postgres: it is not known whether the transaction was committed")

// Update runs fn in a serializable transaction and commits it: whatever fn
// decides, it is as if nobody else had been at work. When the server finds that
// somebody was, or goes away before it was asked to commit, fn runs again; so it
// must not change anything but by tx. An error of fn undoes what fn did and is
// returned as it is. ErrUncertain is the only error after which something may
// have been done.
func (db *DB) Update(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.transact(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable}, fn)
}

// View runs fn on one consistent, read-only snapshot, and again should the
// server go away meanwhile.
func (db *DB) View(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.transact(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn)
}

// locked is Update for an fn that takes locks on what it decides by: each of its
// statements sees what was committed before it.
func (db *DB) locked(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.transact(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, fn)
}

func (db *DB) transact(ctx context.Context, opts pgx.TxOptions, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.retry(ctx, func(ctx context.Context) error {
		tx, err := db.pool.BeginTx(ctx, opts)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(ctx) }() // after a commit it does nothing; else the connection goes
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return committed(tx.Commit(ctx))
	})
}

// retry calls fn until it succeeds or fails in a way that another time would not
// change, at most a few times, within the database's time-out.
func (db *DB) retry(ctx context.Context, fn func(ctx context.Context) error) error {
	ctx, stop := context.WithTimeout(ctx, db.timeout)
	defer stop()
	for try := 1; ; try++ {
		err := fn(ctx)
		limit := tries
		if met(err) {
			limit = meetings
		}
		if err == nil || try >= limit || !passing(err) || !pause(ctx, try) {
			return err
		}
	}
}

// committed adds to the error of a commit that its outcome is not known, unless
// the server itself has said that it did not happen.
func committed(err error) error {
	if err == nil || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.SeverityUnlocalized == "ERROR" {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUncertain, err)
}

// met reports whether a transaction was given up by the server in favour of
// another one.
func met(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

// passing reports whether a transaction that ended with err was not committed
// and may well be the next time: it met another one, or lost its connection.
func passing(err error) bool {
	if errors.Is(err, ErrUncertain) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if met(err) {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "57P01", "57P02", "57P03": // the server is stopped, crashed, or not ready yet
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) || lost(err)
}

// pause waits before the next try, for a random time that doubles with each, up
// to 160 ms, and reports whether ctx is still alive.
func pause(ctx context.Context, try int) bool {
	timer := time.NewTimer(rand.N(10 * time.Millisecond << min(try-1, 4)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
