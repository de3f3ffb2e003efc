package hubnode

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
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

// killsVar is the variable that has another number of kills than the usual one.
const killsVar = "LODGE_SOAK_KILLS"

// A hundred kills, and as many times ten thousand deliveries, are divided among the
// back ends, since each takes some five seconds. A long look at one of them is
//
//	LODGE_SOAK=1 LODGE_SOAK_KILLS=100 go test ./internal/hubnode -v -timeout 1h -run 'TestRel01/jetstream'
func scale(t *testing.T) (kills int, deliveries int64) {
	t.Helper()
	kills = soaktest.Rounds(6, 12, 34)
	if text := os.Getenv(killsVar); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", killsVar, err)
		}
	}
	return kills, int64(kills) * int64(soaktest.Rounds(1_700, 5_000, 10_000))
}

// Nodes are killed, and stopped, and the server behind the log is killed, at
// random moments under load: of what was acknowledged nothing is lost and nothing
// comes twice.
func TestRel01_NothingIsLostOrDoubledWhenNodesAndServersAreKilled(t *testing.T) {
	sockets := soaktest.Rounds(300, 1000, 5000)
	kills, want := scale(t)
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
