package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

// A Log is the messaging.Log of an installation whose nodes share a database.
// Appends of a node that wait at the same time go to the server together:
//
//	log.go           the calls' life, heads
//	log_append.go    Append: what is asked
//	log_queue.go     who waits for what, by topic
//	log_commit.go    one transaction for many appends
//	log_topic.go     a topic's row, positions
//	log_read.go      pages
//	log_discard.go   Discard, Drop, and the sweeping behind them
//	log_snapshot.go  snapshots
//	log_listen.go    hints of other nodes
//	log_notify.go    hints for other nodes
type Log struct {
	db    *DB
	calls *messaging.Calls
	queue *logQueue
	tell  *notifier
	// listenPing is how long the listening connection may be silent until it is
	// asked whether it still stands.
	listenPing time.Duration

	workers sync.WaitGroup // the goroutines of NewLog
}

var _ messaging.Log = (*Log)(nil)

// logWriters is how many transactions of appends run at a time. While each of
// them waits for the disk, what comes next gathers for the one after.
const logWriters = 3

// NewLog returns the log that db holds, and starts what it needs to write and to
// hear of other nodes. Closing it leaves db open; it is closed before db is.
func NewLog(db *DB) *Log { return newLog(db, 10*time.Second) }

func newLog(db *DB, listenPing time.Duration) *Log {
	l := &Log{db: db, calls: messaging.NewCalls(), queue: newLogQueue(), tell: newNotifier(), listenPing: listenPing}
	for range logWriters {
		l.workers.Go(l.write)
	}
	l.workers.Go(l.notify)
	l.workers.Go(l.listen)
	return l
}

// Heads implements messaging.Log.
func (l *Log) Heads(ctx context.Context, names []messaging.Topic) ([]messaging.Pos, error) {
	keys := make([][]byte, len(names))
	for i, name := range names {
		keys[i] = []byte(name)
	}
	var heads []messaging.Pos
	err := l.view(ctx, func(ctx context.Context) error {
		heads = make([]messaging.Pos, len(names))
		rows, err := l.db.pool.Query(ctx, `SELECT u.n, t.epoch, t.seq, t.tag
			FROM unnest($1::bytea[]) WITH ORDINALITY AS u(topic, n) JOIN log_topics AS t ON t.topic = u.topic`, keys)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var n, epoch, seq, tag int64
			if err := rows.Scan(&n, &epoch, &seq, &tag); err != nil {
				return err
			}
			heads[n-1] = logPos(epoch, seq, tag)
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
	l.queue.close()
	l.calls.Wait()
	l.workers.Wait()
	return nil
}

// view runs a call that reads by one statement, again where that may help.
func (l *Log) view(ctx context.Context, fn func(ctx context.Context) error) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return outcome(ctx, l.db.retry(ctx, fn))
}

// outcome turns the error of a call under ctx into one of messaging.Log's.
func outcome(ctx context.Context, err error) error {
	switch {
	case err == nil || ofContract(err):
		return err
	case errors.Is(err, ErrUncertain):
		return fmt.Errorf("%w: %w", messaging.ErrUncertain, err)
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
