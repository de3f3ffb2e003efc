package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// openLog opens the log of a database; both are closed with t.
func openLog(t testing.TB, url string) *Log {
	t.Helper()
	log := NewLog(open(t, url))
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// reopen closes a log and its database and opens them again.
func reopen(t *testing.T, log messaging.Log) messaging.Log {
	t.Helper()
	closeAll(t, log)
	return openLog(t, log.(*Log).db.config.ConnString())
}

func closeAll(t *testing.T, log messaging.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if err := log.(*Log).db.Close(); err != nil {
		t.Error(err)
	}
}

func TestLogConformance(t *testing.T) {
	messagingtest.Run(t, messagingtest.Harness{
		Open:   func(t *testing.T) messaging.Log { return openLog(t, fresh(t)) },
		Reopen: reopen,
		Join: func(t *testing.T, log messaging.Log) messaging.Log {
			return openLog(t, log.(*Log).db.config.ConnString())
		},
		LoseTail: func(t *testing.T, log messaging.Log, name messaging.Topic, last messaging.Pos) messaging.Log {
			err := log.(*Log).db.Update(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, `DELETE FROM log_entries WHERE epoch = $1 AND seq > $2`, int64(last.Epoch), int64(last.Seq)); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, `UPDATE log_topics SET seq = $2, tag = $3 WHERE topic = $1`, []byte(name), int64(last.Seq), tagInt(last.Tag))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return log
		},
		OpenVia: func(t *testing.T) (messaging.Log, messagingtest.Network) {
			config, err := pgx.ParseConfig(fresh(t))
			if err != nil {
				t.Fatal(err)
			}
			proxy := faultproxy.Start(t, postgrestest.Shared(t).Addr())
			return openLog(t, postgrestest.URL(proxy.Addr(), config.Database)), proxy
		},
	})
}
