package postgres

import (
	"context"
	"log/slog"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/messaging"
)

// sweepRows is how many entries one transaction deletes: the node that discards
// waits for it, and the disk is shared with those that append.
const sweepRows = 2000

// Discard implements messaging.Log.
func (l *Log) Discard(ctx context.Context, name messaging.Topic, through messaging.Pos) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil || through.IsZero() {
		if err == nil {
			done()
		}
		return err
	}
	defer done()
	err = l.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		t, tag, err := loadLogTopic(ctx, tx, name, through, `FOR NO KEY UPDATE`)
		if err != nil {
			return err
		}
		if through.Epoch == uint64(t.epoch) && through.Seq < uint64(t.floorSeq) {
			return nil
		}
		if err := t.find(through, tag); err != nil || through == t.floor() {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE log_topics SET floor_seq = $2, floor_tag = $3 WHERE topic = $1`,
			[]byte(name), int64(through.Seq), tagInt(through.Tag)); err != nil {
			return err
		}
		return discardEntries(ctx, tx, t.epoch, int64(through.Seq))
	})
	if err != nil {
		return outcome(ctx, err)
	}
	l.sweep(ctx)
	return nil
}

// Drop implements messaging.Log.
func (l *Log) Drop(ctx context.Context, name messaging.Topic) error {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = l.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var epoch int64
		there, err := found(tx.QueryRow(ctx, `DELETE FROM log_topics WHERE topic = $1 RETURNING epoch`, []byte(name)).Scan(&epoch))
		if !there || err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM log_snapshots WHERE epoch = $1`, epoch); err != nil {
			return err
		}
		return discardEntries(ctx, tx, epoch, math.MaxInt64)
	})
	if err != nil {
		return outcome(ctx, err)
	}
	l.changed(name)
	l.sweep(ctx)
	return nil
}

// discardEntries notes that entries are out of sight and may be deleted.
func discardEntries(ctx context.Context, tx pgx.Tx, epoch, through int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO log_garbage (epoch, through) VALUES ($1, $2) ON CONFLICT DO NOTHING`, epoch, through)
	return err
}

// sweep deletes what is out of sight. The discarding itself is done: what it
// leaves, because its caller went away or the server did, the next sweep of any
// node finds.
func (l *Log) sweep(ctx context.Context) {
	for more := true; more; {
		err := l.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
			more, err = sweepSome(ctx, tx)
			return err
		})
		if err != nil {
			if ctx.Err() == nil {
				l.db.out.Warn("discarded messages could not be deleted; the next time a topic is tidied tries again", slog.Any("error", err))
			}
			return
		}
	}
}

// sweepSome deletes a few entries and reports whether there may be more. What
// another node is at work on is left to it.
func sweepSome(ctx context.Context, tx pgx.Tx) (more bool, err error) {
	var epoch, through int64
	there, err := found(tx.QueryRow(ctx, `SELECT epoch, through FROM log_garbage LIMIT 1 FOR UPDATE SKIP LOCKED`).Scan(&epoch, &through))
	if !there || err != nil {
		return false, err
	}
	gone, err := tx.Exec(ctx, `DELETE FROM log_entries WHERE epoch = $1 AND seq <= (SELECT max(s.seq) FROM (
		SELECT seq FROM log_entries WHERE epoch = $1 AND seq <= $2 ORDER BY seq LIMIT $3) AS s)`, epoch, through, sweepRows)
	if err != nil {
		return false, err
	}
	if gone.RowsAffected() < sweepRows {
		_, err = tx.Exec(ctx, `DELETE FROM log_garbage WHERE epoch = $1 AND through = $2`, epoch, through)
	}
	return true, err
}
