package memory_test

import (
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func BenchmarkTopicsAppend(b *testing.B) {
	messagingtest.BenchTopicsAppend(b, func(b *testing.B) messaging.Log {
		log := memory.New()
		b.Cleanup(func() {
			if err := log.Close(); err != nil {
				b.Error(err)
			}
		})
		return log
	})
}
