package hubnode

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge/internal/soaktest"
)

func TestMain(m *testing.M) {
	if run := as(); run != nil {
		if err := run(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, os.Getenv("HUBNODE"), err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// pace is how long a publisher waits between two messages, so that the sockets
// get some 6,000 messages a second.
func pace(sockets int) time.Duration { return time.Duration(sockets) * 200 * time.Microsecond }

// Nodes are killed, and stopped, and the server behind the log is killed, at
// random moments under load: of what was acknowledged nothing is lost and nothing
// comes twice.
func TestRel01_NothingIsLostOrDoubledWhenNodesAndServersAreKilled(t *testing.T) {
	sockets, kills, want := soaktest.Rounds(300, 1000, 5000), soaktest.Rounds(6, 20, 100), int64(soaktest.Rounds(10_000, 100_000, 1_000_000))
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			begun := time.Now()
			server := b.start(t)
			f := startFleet(t, server.url, sockets)
			l, stop := publish(f, sockets, pace(sockets))
			nodes, servers, rolls := 0, 0, 0
			for kill := range kills {
				l.more(t, 3+rand.IntN(12))
				i := rand.IntN(len(f.nodes))
				switch {
				case kill%6 == 3:
					server.crash()
					servers++
					continue
				case kill%6 == 5: // on top of the kill
					f.awaitReady(i)
					f.roll(i)
					rolls++
					i = (i + 1) % len(f.nodes)
				}
				f.awaitReady(i)
				f.nodes[i].kill()
				f.start(i)
				nodes++
			}
			for l.due.Load() < want {
				l.more(t, 1)
			}
			r := l.settle(t, stop)
			soaktest.Report(t, "%d kill -9 of nodes, %d of the server, %d orderly restarts: %d messages acknowledged, %d deliveries to %d sockets over %d connections, %d lost, %d doubled, in %s",
				nodes, servers, rolls, l.acked.Load(), r.Delivered, sockets, r.Connected, r.Lost+int64(r.Missing), r.Doubled, time.Since(begun).Round(time.Second))
		})
	}
}

// Every node is stopped in order and started again, one after the other, under
// load: nothing is lost or doubled, and no request fails.
func TestRel17_ARollingRestartLosesNothingAndFailsNoRequest(t *testing.T) {
	const sockets = 200
	server := backends[0].start(t)
	f := startFleet(t, server.url, sockets)
	l, stop := publish(f, sockets, 5*time.Millisecond)
	for range soaktest.Rounds(1, 3, 10) {
		for i := range f.nodes {
			l.more(t, 20)
			f.roll(i)
			f.awaitReady(i)
		}
	}
	f.awaitSockets(sockets)
	r := l.settle(t, stop)
	if failed := l.failed.Load(); failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	soaktest.Report(t, "%d requests, %d failed; %d deliveries over %d connections, %d lost, %d doubled",
		l.acked.Load(), l.failed.Load(), r.Delivered, r.Connected, r.Lost+int64(r.Missing), r.Doubled)
}

// Two of three nodes are killed at once: all their sockets come back at the third
// and miss nothing.
func TestRel16_AllSocketsComeBackAtOneNode(t *testing.T) {
	sockets := soaktest.Rounds(300, 1000, 5000)
	server := backends[0].start(t)
	f := startFleet(t, server.url, sockets)
	l, stop := publish(f, sockets, pace(sockets))
	for range soaktest.Rounds(1, 2, 5) {
		l.more(t, 10)
		f.nodes[0].kill()
		f.nodes[1].kill()
		killed := time.Now()
		f.awaitSockets(sockets)
		soaktest.Report(t, "%d sockets, all at one node %s after two were killed", sockets, time.Since(killed).Round(time.Millisecond))
		l.more(t, 10)
		f.start(0)
		f.start(1)
		f.awaitReady(0)
		f.awaitReady(1)
	}
	l.settle(t, stop)
}
