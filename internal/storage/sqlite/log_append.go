package sqlite

import (
	"context"

	"github.com/lodge-gateway/lodge/messaging"
)

// Append implements messaging.Log.
func (l *Log) Append(ctx context.Context, name messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	for _, m := range msgs {
		if m.ID == "" {
			return nil, messaging.ErrNoID
		}
		if len(m.Body) > messaging.MaxBody {
			return nil, messaging.ErrTooLarge
		}
	}
	var added []messaging.Appended
	err := l.update(ctx, func(tx *Tx) error {
		t, err := loadLogTopic(tx, name)
		if err != nil {
			return err
		}
		added, err = t.append(tx, name, msgs, ifHead)
		return err
	})
	if err != nil {
		return nil, err
	}
	l.calls.Publish(name)
	return added, nil
}

func (t *logTopic) append(tx *Tx, name messaging.Topic, msgs []messaging.Msg, ifHead *messaging.Pos) ([]messaging.Appended, error) {
	if ifHead != nil && *ifHead != t.head() {
		added := make([]messaging.Appended, len(msgs))
		for i, m := range msgs {
			there, err := t.entry(tx, m.ID, &added[i])
			if err != nil {
				return nil, err
			}
			if !there {
				return nil, messaging.ErrConflict
			}
		}
		return added, nil
	}
	if len(msgs) == 0 {
		return nil, nil
	}
	if t.epoch == 0 {
		if err := t.start(tx, name); err != nil {
			return nil, err
		}
	}
	added := make([]messaging.Appended, len(msgs))
	before, known := t.seq, 0
	for i, m := range msgs {
		if err := t.add(tx, m, &added[i]); err != nil {
			return nil, err
		}
		if added[i].Pos.Seq <= uint64(before) {
			known++
		}
	}
	if t.seq == before {
		return added, nil
	}
	if ifHead != nil && known > 0 {
		return nil, messaging.ErrConflict // which takes back what was inserted
	}
	_, err := tx.Exec(`UPDATE log_topics SET seq = ?, tag = ? WHERE topic = ?`, t.seq, t.tag, []byte(name))
	return added, err
}

// add inserts m behind the head, unless its ID is there already.
func (t *logTopic) add(tx *Tx, m messaging.Msg, a *messaging.Appended) error {
	body := m.Body
	if body == nil {
		body = []byte{} // nil is stored as NULL
	}
	for {
		res, err := tx.Exec(`INSERT INTO log_entries (epoch, seq, tag, id, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (epoch, id) DO NOTHING`,
			t.epoch, t.seq+1, tagInt(m.Tag), []byte(m.ID), body)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 1 {
			t.seq, t.tag = t.seq+1, tagInt(m.Tag)
			a.Pos = t.head()
			return nil
		}
		there, err := t.entry(tx, m.ID, a)
		if there || err != nil {
			return err
		}
		// Its entry was discarded and not swept yet.
		if _, err := tx.Exec(`DELETE FROM log_entries WHERE epoch = ? AND id = ?`, t.epoch, []byte(m.ID)); err != nil {
			return err
		}
	}
}

// entry finds the entry that has an ID, among those that are not discarded.
func (t *logTopic) entry(tx *Tx, id string, a *messaging.Appended) (bool, error) {
	var seq, tag int64
	there, err := found(tx.Get(`SELECT seq, tag FROM log_entries WHERE epoch = ? AND id = ? AND seq > ?`,
		[]any{t.epoch, []byte(id), t.floorSeq}, &seq, &tag))
	if there {
		*a = messaging.Appended{Pos: logPos(t.epoch, seq, tag), Duplicate: true}
	}
	return there, err
}
