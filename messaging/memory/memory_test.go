package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	messagingtest.Run(t, messagingtest.Harness{
		Open: func(t *testing.T) messaging.Log {
			log := memory.New()
			t.Cleanup(func() {
				if err := log.Close(); err != nil {
					t.Error(err)
				}
			})
			return log
		},
	})
}
