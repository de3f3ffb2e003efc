package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// run owns the writing connection: it takes what updates have gathered, runs
// them in one transaction and answers each when that transaction is on disk.
func (db *DB) run(conn *sql.Conn) {
	defer close(db.done)
	w := &writer{conn: conn, stmts: map[string]*sql.Stmt{}}
	defer w.close()
	for {
		select {
		case j := <-db.jobs:
			w.commit(db.gather(j))
		case <-db.quit:
			// Those already queued were accepted: they are carried out.
			select {
			case j := <-db.jobs:
				w.commit(db.gather(j))
			default:
				return
			}
		}
	}
}

// gather returns first and whatever else is waiting now.
func (db *DB) gather(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case j := <-db.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// writer is the state of the writing connection, owned by run.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	soon  bool // the connection does not wait for the disk at the moment
}

// synced sets whether the next transaction waits for the disk: not when all that is
// in it need not be there when it is answered. The write-ahead log is written in
// order, so the next one that waits has it on disk too.
func (w *writer) synced(batch []*job) error {
	soon := !slices.ContainsFunc(batch, func(j *job) bool { return !j.soon })
	if soon == w.soon {
		return nil
	}
	pragma := "PRAGMA synchronous=FULL"
	if soon {
		pragma = "PRAGMA synchronous=NORMAL"
	}
	if _, err := w.conn.ExecContext(context.Background(), pragma); err != nil {
		return err
	}
	w.soon = soon
	return nil
}

// The writer never passes a caller's context to SQLite: interrupting one
// statement rolls back the whole transaction, other callers' updates included.
func (w *writer) prepare(query string) (*sql.Stmt, error) {
	if stmt := w.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(context.Background(), query)
	if err == nil {
		w.stmts[query] = stmt
	}
	return stmt, err
}

func (w *writer) exec(query string) error {
	stmt, err := w.prepare(query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background())
	return err
}

func (w *writer) close() {
	for _, stmt := range w.stmts {
		_ = stmt.Close() // the connection goes next, and everything is committed
	}
	_ = w.conn.Close()
}

// commit runs a batch in one transaction. Each job has a savepoint of its own,
// so that one that fails takes back only what it did. It too is answered when the
// transaction is on disk: what made it fail may be what a job before it did. When
// the transaction itself is lost (disk full, input or output error), every job
// that thought it had an outcome is told so.
func (w *writer) commit(batch []*job) {
	if err := w.synced(batch); err != nil {
		answer(batch, fmt.Errorf("sqlite: wait for the disk: %w", err))
		return
	}
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		answer(batch, fmt.Errorf("sqlite: begin: %w", err))
		return
	}
	tx := &Tx{ctx: context.Background(), prepare: w.prepare}
	var ran []*job
	failed := map[*job]error{}
	for i, j := range batch {
		if !j.started.CompareAndSwap(false, true) {
			continue // its caller gave up before it began
		}
		err := w.attempt(tx, j)
		if err != nil && lost(err) {
			j.done <- err
			w.rollback()
			answer(ran, fmt.Errorf("sqlite: transaction lost: %w", err))
			answer(batch[i+1:], fmt.Errorf("sqlite: transaction lost: %w", err))
			return
		}
		ran = append(ran, j)
		if err != nil {
			failed[j] = err
		}
	}
	if err := w.exec("COMMIT"); err != nil {
		w.rollback()
		answer(ran, fmt.Errorf("sqlite: commit: %w", err))
		return
	}
	for _, j := range ran {
		j.done <- failed[j] // nil for those that succeeded
	}
}

// attempt runs one job inside a savepoint and leaves nothing of it behind when
// it fails. A panic is kept for the caller, on whose goroutine it belongs.
func (w *writer) attempt(tx *Tx, j *job) error {
	if err := w.exec("SAVEPOINT update_one"); err != nil {
		return err
	}
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				j.panicked, err = p, errors.New("sqlite: update panicked")
			}
		}()
		return j.fn(tx)
	}()
	if err != nil && !lost(err) {
		if undo := w.exec("ROLLBACK TO update_one"); undo != nil {
			return errors.Join(err, undo)
		}
	}
	if release := w.exec("RELEASE update_one"); release != nil {
		return errors.Join(err, release)
	}
	return err
}

// rollback ends a failed transaction; SQLite may have ended it already.
func (w *writer) rollback() { _ = w.exec("ROLLBACK") }

func answer(jobs []*job, err error) {
	for _, j := range jobs {
		if j.started.Swap(true) && len(j.done) == cap(j.done) {
			continue // answered before
		}
		j.done <- err
	}
}

// lost reports whether err is of the kind after which SQLite rolls back the
// whole transaction (https://www.sqlite.org/lang_transaction.html, "Response To
// Errors Within A Transaction").
func lost(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_INTERRUPT:
		return true
	}
	return false
}
