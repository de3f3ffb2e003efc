package relaytest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	relaytest.RunFleet(t, func(*testing.T) relaytest.Shared { return relaytest.NewMemory().End() })
}
