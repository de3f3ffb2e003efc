// Package sqlite is the embedded storage of Lodge: one database file that holds
// every store of a node (sessions and their journal, persons, bookings, the
// message log), so that what must survive together lives together.
//
// There is one writer. Concurrent updates are grouped: while one transaction is
// being synced to disk the next ones gather, then run in one transaction of
// their own, each inside a savepoint. That is the difference between hundreds
// and thousands of durable updates a second. An update is answered only when the
// transaction that holds it is on disk (WAL, synchronous=FULL).
//
// One file here implements one interface of a leaf; each takes a *DB.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite" // also registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// maxBatch is how many updates share one transaction at the most.
const maxBatch = 512

// ErrClosed is returned for an update or a view on a closed database.
var ErrClosed = errors.New("sqlite: database is closed")

// A DB is an open database file. It is safe for concurrent use.
type DB struct {
	path string
	lock *os.File // held for as long as the database is open

	reader *sql.DB // a pool of read-only connections
	writer *sql.DB // exactly one connection, owned by run
	jobs   chan *job
	quit   chan struct{} // closed by Close
	done   chan struct{} // closed when run has ended
	closed sync.Once

	merged mergedCache // of Persons
	cuts   cutter

	readMu sync.RWMutex
	stmts  map[string]*sql.Stmt // guarded by readMu; prepared on reader
}

// Open opens or creates the database file, brings its schema up to date and
// takes an exclusive lock on it, so that a second process fails with ErrLocked
// instead of sharing what it cannot see change.
func Open(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("sqlite: data directory: %w", err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	db := &DB{
		path:  path,
		lock:  lock,
		jobs:  make(chan *job, maxBatch),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
		stmts: map[string]*sql.Stmt{},
	}
	if err := db.open(ctx); err != nil {
		return nil, errors.Join(err, db.closeFiles())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context) error {
	if err := create(ctx, db.path); err != nil {
		return err
	}
	var err error
	if db.writer, err = sql.Open("sqlite", dsn(db.path, false)); err != nil {
		return fmt.Errorf("sqlite: open: %w", err)
	}
	db.writer.SetMaxOpenConns(1)
	if err := migrate(ctx, db.writer); err != nil {
		return err
	}
	if db.reader, err = sql.Open("sqlite", dsn(db.path, true)); err != nil {
		return fmt.Errorf("sqlite: open: %w", err)
	}
	db.reader.SetMaxOpenConns(8)
	db.reader.SetMaxIdleConns(8)
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlite: writer: %w", err)
	}
	go db.run(conn)
	return nil
}

func dsn(path string, readOnly bool) string {
	q := url.Values{}
	for _, p := range []string{"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "busy_timeout(5000)", "temp_store(MEMORY)", "secure_delete(ON)"} {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Add("_pragma", "query_only(ON)")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Close waits for the updates under way and closes the file. It may be called
// more than once.
func (db *DB) Close() error {
	var err error
	db.closed.Do(func() {
		close(db.quit)
		<-db.done
		err = db.closeFiles()
	})
	return err
}

func (db *DB) closeFiles() error {
	var errs []error
	for _, pool := range []*sql.DB{db.reader, db.writer} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(append(errs, db.lock.Close())...)
}

// Update runs fn in a durable transaction shared with other updates, and
// returns when that transaction is on disk. An error of fn undoes what fn did
// and is returned as it is. When ctx ends before fn has started, fn will not
// run; once it has, Update waits for the outcome, so that a caller always knows.
// fn must not keep tx, start goroutines or wait for anything but tx.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return db.do(ctx, &job{fn: fn, done: make(chan error, 1)})
}

// UpdateSoon is Update without waiting for the disk, unless an Update shares the
// transaction: should the machine fail, it may be as if it had not happened. An
// Update that comes after it makes it durable too.
func (db *DB) UpdateSoon(ctx context.Context, fn func(tx *Tx) error) error {
	return db.do(ctx, &job{fn: fn, soon: true, done: make(chan error, 1)})
}

func (db *DB) do(ctx context.Context, j *job) error {
	if err := ctx.Err(); err != nil {
		return err // the select below might choose to queue it nevertheless
	}
	select {
	case db.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.quit:
		return ErrClosed
	}
	select {
	case err := <-j.done:
		return j.result(err)
	case <-db.done:
		// run answers every job it takes before it ends; one left in the queue
		// will never be taken.
		select {
		case err := <-j.done:
			return j.result(err)
		default:
			return ErrClosed
		}
	case <-ctx.Done():
		if j.started.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return j.result(<-j.done)
	}
}

// View runs fn on one consistent, read-only snapshot.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error) error {
	stx, err := db.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("sqlite: view: %w", err)
	}
	var missed []string
	defer func() {
		_ = stx.Rollback() // a read has nothing to lose
		for _, query := range missed {
			db.keepRead(ctx, query)
		}
	}()
	return fn(&Tx{ctx: ctx, prepare: func(query string) (*sql.Stmt, error) {
		db.readMu.RLock()
		stmt := db.stmts[query]
		db.readMu.RUnlock()
		if stmt != nil {
			return stx.StmtContext(ctx, stmt), nil
		}
		// Preparing for all on the pool would take a second connection while
		// holding one: enough views doing so would wait for one another forever.
		missed = append(missed, query)
		return stx.PrepareContext(ctx, query)
	}})
}

// keepRead prepares query for the views to come. When that fails, the next one
// that uses it tries again.
func (db *DB) keepRead(ctx context.Context, query string) {
	stmt, err := db.reader.PrepareContext(ctx, query)
	if err != nil {
		return
	}
	db.readMu.Lock()
	defer db.readMu.Unlock()
	if db.stmts[query] != nil {
		_ = stmt.Close() // another view was faster
		return
	}
	db.stmts[query] = stmt
}

// A Tx is the view that an Update or a View has of the database. Statements are
// prepared once per distinct text, so texts must not be built from values.
type Tx struct {
	ctx     context.Context
	prepare func(query string) (*sql.Stmt, error)
}

// Exec runs a statement that returns no rows.
func (tx *Tx) Exec(query string, args ...any) (sql.Result, error) {
	stmt, err := tx.prepare(query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(tx.ctx, args...)
}

// Query runs a statement that returns rows; the caller closes them.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	stmt, err := tx.prepare(query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(tx.ctx, args...)
}

// Get scans the only row of a query into dest. It returns sql.ErrNoRows when
// there is none.
func (tx *Tx) Get(query string, args []any, dest ...any) error {
	stmt, err := tx.prepare(query)
	if err != nil {
		return err
	}
	return stmt.QueryRowContext(tx.ctx, args...).Scan(dest...)
}

// IsUnique reports whether err is a violated UNIQUE or PRIMARY KEY constraint.
func IsUnique(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// Micros converts a time to the stored form: microseconds since 1970, with 0
// for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time converts the stored form back; 0 is the zero time.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// A job is one Update waiting for its turn.
type job struct {
	fn       func(tx *Tx) error
	soon     bool        // need not be on disk when it is answered
	started  atomic.Bool // set by run before fn, or by a caller that gave up
	panicked any         // what fn panicked with; read after done
	done     chan error
}

func (j *job) result(err error) error {
	if j.panicked != nil {
		panic(j.panicked)
	}
	return err
}
