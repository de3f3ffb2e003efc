package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func TestTamper(t *testing.T) {
	messagingtest.Tamper(t, func(t *testing.T) messagingtest.Raw {
		log := openLog(t, filepath.Join(t.TempDir(), "lodge.db"))
		do := func(t *testing.T, fn func(tx *Tx) error) {
			t.Helper()
			if err := log.db.Update(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		return messagingtest.Raw{
			Log: log,
			Put: func(t *testing.T, topic messaging.Topic, e messaging.Entry) {
				do(t, func(tx *Tx) error {
					if _, err := tx.Exec(`DROP INDEX IF EXISTS log_entries_id`); err != nil { // which would keep an ID from standing twice
						return err
					}
					_, err := tx.Exec(`INSERT INTO log_entries (epoch, seq, tag, id, body) VALUES (?, ?, ?, ?, ?)
						ON CONFLICT (epoch, seq) DO UPDATE SET tag = excluded.tag, id = excluded.id, body = excluded.body`,
						int64(e.Pos.Epoch), int64(e.Pos.Seq), tagInt(e.Pos.Tag), []byte(e.ID), e.Body)
					_, head := tx.Exec(`UPDATE log_topics SET seq = ?, tag = ? WHERE topic = ? AND seq < ?`,
						int64(e.Pos.Seq), tagInt(e.Pos.Tag), []byte(topic), int64(e.Pos.Seq))
					return errors.Join(err, head)
				})
			},
			Remove: func(t *testing.T, _ messaging.Topic, at messaging.Pos) {
				do(t, func(tx *Tx) error {
					_, err := tx.Exec(`DELETE FROM log_entries WHERE epoch = ? AND seq = ?`, int64(at.Epoch), int64(at.Seq))
					return err
				})
			},
		}
	})
}
