package sqlite

import (
	"context"
	"errors"
	"math"

	"github.com/lodge-gateway/lodge/messaging"
)

// sweepRows is how many entries one transaction deletes: the writer is shared,
// and what waits behind it waits for this.
const sweepRows = 500

// Discard implements messaging.Log.
func (l *Log) Discard(ctx context.Context, name messaging.Topic, through messaging.Pos) error {
	if through.IsZero() {
		return l.update(ctx, func(*Tx) error { return nil })
	}
	err := l.update(ctx, func(tx *Tx) error {
		t, err := loadLogTopic(tx, name)
		if err != nil {
			return err
		}
		if through.Epoch == uint64(t.epoch) && through.Seq < uint64(t.floorSeq) {
			return nil
		}
		seq, err := t.find(tx, through)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE log_topics SET floor_seq = ?, floor_tag = ? WHERE topic = ?`, seq, tagInt(through.Tag), []byte(name)); err != nil {
			return err
		}
		return discardEntries(tx, t.epoch, seq)
	})
	if err != nil {
		return err
	}
	return l.sweep(ctx)
}

// Drop implements messaging.Log.
func (l *Log) Drop(ctx context.Context, name messaging.Topic) error {
	err := l.update(ctx, func(tx *Tx) error {
		t, err := loadLogTopic(tx, name)
		if err != nil || t.epoch == 0 {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM log_topics WHERE topic = ?`, []byte(name)); err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM log_snapshots WHERE epoch = ?`, t.epoch); err != nil {
			return err
		}
		return discardEntries(tx, t.epoch, math.MaxInt64)
	})
	if err != nil {
		return err
	}
	l.calls.Publish(name)
	return l.sweep(ctx)
}

// discardEntries notes that entries are out of sight and may be deleted.
func discardEntries(tx *Tx, epoch, through int64) error {
	_, err := tx.Exec(`INSERT INTO log_garbage (epoch, through) VALUES (?, ?)
		ON CONFLICT (epoch) DO UPDATE SET through = max(through, excluded.through)`, epoch, through)
	return err
}

// sweep deletes what is out of sight. What it leaves, because its caller went
// away or the process ended, the next sweep finds.
func (l *Log) sweep(ctx context.Context) error {
	for more := true; more; {
		err := l.update(ctx, func(tx *Tx) error {
			var err error
			more, err = sweepSome(tx)
			return err
		})
		if errors.Is(err, messaging.ErrClosed) || ctx.Err() != nil {
			return nil // the discarding itself is done
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepSome deletes a few entries and reports whether there are more.
func sweepSome(tx *Tx) (more bool, err error) {
	var epoch, through int64
	there, err := found(tx.Get(`SELECT epoch, through FROM log_garbage LIMIT 1`, nil, &epoch, &through))
	if !there || err != nil {
		return false, err
	}
	res, err := tx.Exec(`DELETE FROM log_entries WHERE epoch = ?1 AND seq IN (
		SELECT seq FROM log_entries WHERE epoch = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3+0)`, epoch, through, sweepRows)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, err
	}
	if n < sweepRows {
		_, err = tx.Exec(`DELETE FROM log_garbage WHERE epoch = ?`, epoch)
	}
	return true, err
}
