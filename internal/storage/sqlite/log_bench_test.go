package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// BenchmarkTopicsAppend waits for the disk, as always.
func BenchmarkTopicsAppend(b *testing.B) {
	messagingtest.BenchTopicsAppend(b, func(b *testing.B) messaging.Log {
		return openLog(b, filepath.Join(b.TempDir(), "lodge.db"))
	})
}

func BenchmarkLogStart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "lodge.db")
	messagingtest.BenchStart(b, func() (messaging.Log, func()) {
		db, err := Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		log := NewLog(db)
		return log, func() {
			if err := errors.Join(log.Close(), db.Close()); err != nil {
				b.Error(err)
			}
		}
	})
}
