package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/lodge-gateway/lodge/messaging"
)

// A Log is the messaging.Log of an embedded installation. Every append is on
// disk when it is answered; those of many callers share one commit.
type Log struct {
	db    *DB
	calls *messaging.Calls
}

var _ messaging.Log = (*Log)(nil)

// NewLog returns the log that db holds. Closing it leaves db open.
func NewLog(db *DB) *Log {
	return &Log{db: db, calls: messaging.NewCalls()}
}

// Heads implements messaging.Log.
func (l *Log) Heads(ctx context.Context, names []messaging.Topic) ([]messaging.Pos, error) {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = hex.EncodeToString([]byte(name))
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("sqlite: heads: %w", err)
	}
	var heads []messaging.Pos
	err = l.view(ctx, func(tx *Tx) error {
		heads = make([]messaging.Pos, len(names))
		rows, err := tx.Query(`SELECT j.key, t.epoch, t.seq, t.tag
			FROM json_each(?) AS j CROSS JOIN log_topics AS t ON t.topic = unhex(j.value)`, string(list))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err says what went wrong
		for rows.Next() {
			var i int
			var epoch, seq, tag int64
			if err := rows.Scan(&i, &epoch, &seq, &tag); err != nil {
				return err
			}
			heads[i] = logPos(epoch, seq, tag)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return heads, nil
}

// Changes implements messaging.Log.
func (l *Log) Changes(ctx context.Context) iter.Seq2[messaging.Topic, error] {
	return l.calls.Changes(ctx)
}

// Close implements messaging.Log.
func (l *Log) Close() error {
	l.calls.Close()
	l.calls.Wait()
	return nil
}

// update runs a call that writes.
func (l *Log) update(ctx context.Context, fn func(tx *Tx) error) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = l.db.Update(ctx, fn)
	switch {
	case err == nil || ofContract(err):
		return err
	case errors.Is(err, ErrClosed):
		return messaging.ErrClosed
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return context.Cause(ctx) // it never started
	default:
		// A commit that failed may be on disk all the same.
		return fmt.Errorf("%w: %w", messaging.ErrUncertain, err)
	}
}

// view runs a call that reads, on one snapshot of the database.
func (l *Log) view(ctx context.Context, fn func(tx *Tx) error) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = l.db.View(ctx, fn)
	switch {
	case err == nil || ofContract(err):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("%w: %w", messaging.ErrUnavailable, err)
	}
}

// ofContract reports whether err is an answer that messaging.Log defines.
func ofContract(err error) bool {
	if _, ok := errors.AsType[*messaging.PosLostError](err); ok {
		return true
	}
	return errors.Is(err, messaging.ErrConflict)
}

// found turns the error of a query for one row into whether there is one.
func found(err error) (bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
