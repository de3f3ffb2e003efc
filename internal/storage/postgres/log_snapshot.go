package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/messaging"
)

// LoadSnapshot implements messaging.Log.
func (l *Log) LoadSnapshot(ctx context.Context, name messaging.Topic) (messaging.Snapshot, messaging.Rev, error) {
	var s messaging.Snapshot
	var rev int64
	err := l.view(ctx, func(ctx context.Context) error {
		var epoch, seq, tag int64
		_, err := found(l.db.pool.QueryRow(ctx, `SELECT s.epoch, s.rev, s.seq, s.tag, s.data
			FROM log_topics AS t JOIN log_snapshots AS s ON s.epoch = t.epoch WHERE t.topic = $1`, []byte(name)).
			Scan(&epoch, &rev, &seq, &tag, &s.Data))
		s.At = logPos(epoch, seq, tag)
		return err
	})
	if err != nil {
		return messaging.Snapshot{}, 0, err
	}
	return s, messaging.Rev(rev), nil
}

// SaveSnapshot implements messaging.Log. It keeps the topic from being dropped
// meanwhile, not from being appended to.
func (l *Log) SaveSnapshot(ctx context.Context, name messaging.Topic, expect messaging.Rev, s messaging.Snapshot) (messaging.Rev, error) {
	ctx, done, err := l.calls.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	err = l.db.locked(ctx, func(ctx context.Context, tx pgx.Tx) error {
		t, tag, err := loadLogTopic(ctx, tx, name, s.At, `FOR KEY SHARE`)
		if err != nil {
			return err
		}
		if s.At.IsZero() || s.At.Epoch != uint64(t.epoch) {
			return t.lost()
		}
		var rev, seq int64
		if _, err := found(tx.QueryRow(ctx, `SELECT rev, seq FROM log_snapshots WHERE epoch = $1 FOR UPDATE`, t.epoch).Scan(&rev, &seq)); err != nil {
			return err
		}
		if expect != messaging.Rev(rev) || s.At.Seq < uint64(seq) {
			return messaging.ErrConflict
		}
		if err := t.find(s.At, tag); err != nil {
			return err
		}
		saved, err := tx.Exec(ctx, `INSERT INTO log_snapshots AS s (epoch, rev, seq, tag, data) VALUES ($1, $2 + 1, $3, $4, $5)
			ON CONFLICT (epoch) DO UPDATE SET rev = excluded.rev, seq = excluded.seq, tag = excluded.tag, data = excluded.data
			WHERE s.rev = $2`, t.epoch, rev, int64(s.At.Seq), tagInt(s.At.Tag), blob(s.Data))
		if err == nil && saved.RowsAffected() == 0 {
			return messaging.ErrConflict // another was the first to save one
		}
		return err
	})
	if err != nil {
		return 0, outcome(ctx, err)
	}
	return expect + 1, nil
}
