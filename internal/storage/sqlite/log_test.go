package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// openLog opens the log of a database file; both are closed with t.
func openLog(t testing.TB, path string) *Log {
	t.Helper()
	db, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	log := NewLog(db)
	t.Cleanup(func() { closeLog(t, log) })
	return log
}

func closeLog(t testing.TB, log *Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if err := log.db.Close(); err != nil {
		t.Error(err)
	}
}

func TestLogConformance(t *testing.T) {
	messagingtest.Run(t, messagingtest.Harness{
		Open: func(t *testing.T) messaging.Log {
			return openLog(t, filepath.Join(t.TempDir(), "lodge.db"))
		},
		Reopen: func(t *testing.T, log messaging.Log) messaging.Log {
			closeLog(t, log.(*Log))
			return openLog(t, log.(*Log).db.path)
		},
		LoseTail: func(t *testing.T, log messaging.Log, name messaging.Topic, last messaging.Pos) messaging.Log {
			err := log.(*Log).db.Update(t.Context(), func(tx *Tx) error {
				if _, err := tx.Exec(`DELETE FROM log_entries WHERE epoch = ? AND seq > ?`, int64(last.Epoch), int64(last.Seq)); err != nil {
					return err
				}
				_, err := tx.Exec(`UPDATE log_topics SET seq = ?, tag = ? WHERE topic = ?`, int64(last.Seq), tagInt(last.Tag), []byte(name))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return log
		},
	})
}
