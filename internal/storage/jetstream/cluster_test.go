package jetstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/internal/soaktest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// startCluster runs three servers, and returns them and how a log reaches them.
func startCluster(t *testing.T) ([]*natstest.Server, Config) {
	t.Helper()
	servers := natstest.StartCluster(t, 3)
	c := Config{Replicas: 3, Streams: 2}
	for _, s := range servers {
		c.URLs, c.Monitors = append(c.URLs, s.URL()), append(c.Monitors, s.Monitor())
	}
	return servers, c
}

// Two nodes, each on a server of its own, see one log on three replicas.
func TestLogOnACluster(t *testing.T) {
	_, config := startCluster(t)
	messagingtest.Run(t, messagingtest.Harness{
		Open: func(t *testing.T) messaging.Log { return openEmpty(t, config) },
		Join: func(t *testing.T, _ messaging.Log) messaging.Log { return openLog(t, config) },
	})
}

// TestLogLeaderKilled kills one server of three after the other under a node that
// writes: what it acknowledged is there at once, on the two that are left.
func TestLogLeaderKilled(t *testing.T) {
	servers, config := startCluster(t)
	config.Timeout = 2 * time.Second // a leader takes a second or two to be chosen
	log := openLog(t, config)
	var ledger messagingtest.Ledger
	for run := range soaktest.Rounds(2, 6, 30) {
		killed := servers[run%len(servers)]
		scribble(t, log, fmt.Sprint("run", run), &ledger, killed.Kill9)
		recovered(t, log)
		ledger.Check(t, log)
		killed.Restart()
		recovered(t, log)
	}
	soaktest.Report(t, "%d acknowledged messages survived the killed servers of a cluster", ledger.Len())
}
