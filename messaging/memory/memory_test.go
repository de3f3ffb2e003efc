package memory_test

import (
	"slices"
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

func TestPersonKeys(t *testing.T) {
	messagingtest.PersonKeys(t, func(_ *testing.T, nodes int) []messaging.PersonKeys {
		return slices.Repeat([]messaging.PersonKeys{memory.NewPersonKeys()}, nodes)
	})
}
