package jetstream

import (
	"fmt"
	"testing"

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

// Two nodes on three replicas. The whole suite takes half a minute there and is for
// long runs; what a replica that is behind could break is always looked at.
func TestRel02_LogOnACluster(t *testing.T) {
	_, config := startCluster(t)
	open := func(t *testing.T) *Log { return openLog(t, config) }
	seenOnReplicas(t, open(t), open(t))
	for range soaktest.Rounds(0, 1, 1) {
		messagingtest.Run(t, messagingtest.Harness{
			Open: func(t *testing.T) messaging.Log { return openEmpty(t, config) },
			Join: func(t *testing.T, _ messaging.Log) messaging.Log { return open(t) },
		})
	}
}

// seenOnReplicas has two nodes write to one topic in turn, each behind the other's
// head, and drop it now and then: each sees at once what the other did.
func seenOnReplicas(t *testing.T, nodes ...*Log) {
	t.Helper()
	var head messaging.Pos
	for i := range 60 {
		writer, reader := nodes[i%2], nodes[(i+1)%2]
		if i%20 == 19 {
			if err := writer.Drop(t.Context(), "topic"); err != nil {
				t.Fatal(err)
			}
			head = messaging.Pos{}
		} else {
			added, err := writer.Append(t.Context(), "topic", []messaging.Msg{{ID: fmt.Sprint("m", i), Tag: messaging.Tag{byte(i)}}}, &head)
			if err != nil {
				t.Fatalf("append %d behind the other's head: %v", i, err)
			}
			head = added[0].Pos
		}
		heads, err := reader.Heads(t.Context(), []messaging.Topic{"topic"})
		if err != nil || heads[0] != head {
			t.Fatalf("after %d writes the other's head is %v, want %v: %v", i+1, heads, head, err)
		}
		page, err := reader.ReadBack(t.Context(), "topic", messaging.Pos{}, 1)
		if err != nil || page.Head != head || len(page.Entries) > 0 && page.Entries[0].Pos != head {
			t.Fatalf("after %d writes the other reads %+v: %v", i+1, page, err)
		}
	}
}

// TestRel02_LogLeaderKilled kills one server of three after the other under a node that
// writes: what it acknowledged is there at once, on the two that are left.
func TestRel02_LogLeaderKilled(t *testing.T) {
	servers, config := startCluster(t)
	log := openLog(t, config)
	var ledger messagingtest.Ledger
	for run := range soaktest.Rounds(1, 6, 30) {
		killed := servers[run%len(servers)]
		scribble(t, log, fmt.Sprint("run", run), &ledger, killed.Kill9)
		recovered(t, log)
		ledger.Check(t, log)
		killed.Restart()
		recovered(t, log)
	}
	soaktest.Report(t, "%d acknowledged messages survived the killed servers of a cluster", ledger.Len())
}
