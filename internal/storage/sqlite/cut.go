package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/lodge-gateway/lodge/messaging"
)

// A cutter cuts the write-ahead log of a database file. Until it is cut, the log has
// every version of a page that was written since, in the order of the transactions.
type cutter struct {
	mu      sync.Mutex
	started atomic.Uint64 // cuts, counted while mu is held
}

// cutTries is how often a cut is tried that others' reading kept from being whole.
const cutTries = 3

// cutLog moves what the write-ahead log holds into the database file, which zeroes
// what it replaces (secure_delete), and cuts the log, as far as nobody is reading from
// it. Of those who call at once few cut: what was committed before a cut began goes
// with it.
func (db *DB) cutLog(ctx context.Context) error {
	before := db.cuts.started.Load()
	db.cuts.mu.Lock()
	defer db.cuts.mu.Unlock()
	if db.cuts.started.Load() > before {
		return nil // it began after our call, and has ended
	}
	db.cuts.started.Add(1)
	return db.cut(ctx)
}

func (db *DB) cut(ctx context.Context) (err error) {
	conn, err := sql.Open("sqlite", dsn(db.path, false))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	for range cutTries {
		var busy, pages, moved int
		if err := conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved); err != nil || busy == 0 {
			return err
		}
	}
	return nil // the next one takes it along
}

var _ messaging.Forgetter = (*Log)(nil)

// Forget implements messaging.Forgetter.
func (l *Log) Forget(ctx context.Context) error { return l.db.cutLog(ctx) }
