package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func TestTamper(t *testing.T) {
	messagingtest.Tamper(t, func(t *testing.T) messagingtest.Raw {
		log := openLog(t, fresh(t))
		do := func(t *testing.T, query string, args ...any) {
			t.Helper()
			err := log.db.Update(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, query, args...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return messagingtest.Raw{
			Log: log,
			Put: func(t *testing.T, topic messaging.Topic, e messaging.Entry) {
				do(t, `INSERT INTO log_entries (epoch, seq, tag, id, body) VALUES ($1, $2, $3, $4, $5)
					ON CONFLICT (epoch, seq) DO UPDATE SET tag = excluded.tag, id = excluded.id, body = excluded.body`,
					int64(e.Pos.Epoch), int64(e.Pos.Seq), tagInt(e.Pos.Tag), []byte(e.ID), e.Body)
				do(t, `UPDATE log_topics SET seq = $1, tag = $2 WHERE topic = $3 AND seq < $1`, int64(e.Pos.Seq), tagInt(e.Pos.Tag), []byte(topic))
			},
			Remove: func(t *testing.T, _ messaging.Topic, at messaging.Pos) {
				do(t, `DELETE FROM log_entries WHERE epoch = $1 AND seq = $2`, int64(at.Epoch), int64(at.Seq))
			},
		}
	})
}
