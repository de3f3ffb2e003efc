package sqlite

import (
	"context"

	"github.com/lodge-gateway/lodge/messaging"
)

// LoadSnapshot implements messaging.Log.
func (l *Log) LoadSnapshot(ctx context.Context, name messaging.Topic) (messaging.Snapshot, messaging.Rev, error) {
	var s messaging.Snapshot
	var rev int64
	err := l.view(ctx, func(tx *Tx) error {
		t, err := loadLogTopic(tx, name)
		if err != nil {
			return err
		}
		var seq, tag int64
		_, err = found(tx.Get(`SELECT rev, seq, tag, data FROM log_snapshots WHERE epoch = ?`, []any{t.epoch}, &rev, &seq, &tag, &s.Data))
		s.At = logPos(t.epoch, seq, tag)
		return err
	})
	if err != nil {
		return messaging.Snapshot{}, 0, err
	}
	return s, messaging.Rev(rev), nil
}

// SaveSnapshot implements messaging.Log.
func (l *Log) SaveSnapshot(ctx context.Context, name messaging.Topic, expect messaging.Rev, s messaging.Snapshot) (messaging.Rev, error) {
	data := s.Data
	if data == nil {
		data = []byte{} // nil is stored as NULL
	}
	var next int64
	err := l.update(ctx, func(tx *Tx) error {
		t, err := loadLogTopic(tx, name)
		if err != nil {
			return err
		}
		if s.At.IsZero() || s.At.Epoch != uint64(t.epoch) {
			return t.lost()
		}
		var rev, seq int64
		if _, err := found(tx.Get(`SELECT rev, seq FROM log_snapshots WHERE epoch = ?`, []any{t.epoch}, &rev, &seq)); err != nil {
			return err
		}
		if expect != messaging.Rev(rev) || s.At.Seq < uint64(seq) {
			return messaging.ErrConflict
		}
		at, err := t.find(tx, s.At)
		if err != nil {
			return err
		}
		next = rev + 1
		_, err = tx.Exec(`INSERT INTO log_snapshots (epoch, rev, seq, tag, data) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (epoch) DO UPDATE SET rev = excluded.rev, seq = excluded.seq, tag = excluded.tag, data = excluded.data`,
			t.epoch, next, at, tagInt(s.At.Tag), data)
		return err
	})
	if err != nil {
		return 0, err
	}
	return messaging.Rev(next), nil
}
