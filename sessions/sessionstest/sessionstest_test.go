package sessionstest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge/sessions"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) Backend {
		m := NewMemory()
		return Backend{Store: m, Journal: m.Journal(), Signals: sessions.NewLocalSignals()}
	})
}
