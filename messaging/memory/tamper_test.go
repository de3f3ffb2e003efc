package memory_test

import (
	"testing"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/memory"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

func TestTamper(t *testing.T) {
	messagingtest.Tamper(t, func(t *testing.T) messagingtest.Raw {
		log := memory.New()
		t.Cleanup(func() {
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
		return messagingtest.Raw{
			Log:    log,
			Put:    func(_ *testing.T, topic messaging.Topic, e messaging.Entry) { log.Put(topic, e) },
			Remove: func(_ *testing.T, topic messaging.Topic, at messaging.Pos) { log.Remove(topic, at) },
		}
	})
}
