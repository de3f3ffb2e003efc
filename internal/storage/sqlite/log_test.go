package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// openLog opens the log of a database file; both are closed with t.
func openLog(t *testing.T, path string) *Log {
	t.Helper()
	db, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	log := NewLog(db)
	t.Cleanup(func() { closeLog(t, log) })
	return log
}

func closeLog(t *testing.T, log *Log) {
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
	})
}
