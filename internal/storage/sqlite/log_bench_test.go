package sqlite

import (
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
