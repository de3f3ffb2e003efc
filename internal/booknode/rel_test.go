package booknode

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/internal/soaktest"
)

func TestMain(m *testing.M) {
	if run := as(); run != nil {
		if err := run(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// backends are where bookings are kept: a file that one node has to itself, and a
// server that several share and that is killed too.
var backends = []struct {
	name  string
	nodes int
	start func(t *testing.T) (store string, crash func())
}{
	{"sqlite", 1, func(t *testing.T) (string, func()) {
		return "sqlite:" + filepath.Join(t.TempDir(), "lodge.db"), nil
	}},
	{"postgres", 3, func(t *testing.T) (string, func()) {
		server := postgrestest.Start(t, postgrestest.Options{})
		return server.Database(t), func() {
			server.Kill9()
			if err := server.Restart(); err != nil {
				t.Error(err)
			}
		}
	}},
}

// 64 clients book, extend, cancel and read while nodes and the server are killed:
// no booking is double, none is lost, and nothing else is seen that one diary,
// doing one thing at a time, would not have shown.
func TestRel22_NoBookingIsDoubleOrLost(t *testing.T) {
	want := int64(soaktest.Rounds(2_000, 20_000, 100_000))
	kills := soaktest.Rounds(4, 12, 40)
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			begun := time.Now()
			store, crash := b.start(t)
			prepare(t, store, experiments(want))
			l := &load{
				fleet: startFleet(t, store, b.nodes), want: want,
				http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}},
			}
			t.Cleanup(l.http.CloseIdleConnections)
			failed := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { failed <- l.run(ctx) }()
			killed, crashed := 0, 0
			for kill := range kills {
				if !l.reach(t, want*int64(kill+1)/int64(kills+1), failed) {
					break
				}
				if crash != nil && kill%4 == 3 {
					crash()
					crashed++
				} else {
					l.fleet.crash(rand.IntN(b.nodes))
					killed++
				}
			}
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
			l.readAll(t)
			if l.check(t); t.Failed() {
				return
			}
			soaktest.Report(t, "%d operations (%d bookings, %d clashes) of %d clients in %d attempts, %d kill -9 of nodes, %d of the server: linearizable, in %s",
				l.done.Load(), l.booked, l.clashes, clients, l.asked.Load(), killed, crashed, time.Since(begun).Round(time.Second))
		})
	}
}

// prepare gives a store its catalogue.
func prepare(t *testing.T, at string, experiments int) {
	t.Helper()
	store, end, err := openStore(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	desk, err := newDesk(store)
	if err == nil {
		err = desk.Apply(t.Context(), tenant, catalogue(experiments))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

// reach waits until so many operations are done; it reports false when the load
// has ended, whose outcome it puts back.
func (l *load) reach(t *testing.T, n int64, ended chan error) bool {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for l.done.Load() < n {
		select {
		case err := <-ended:
			ended <- err
			return false
		case <-limit:
			t.Fatalf("%d of %d operations after %s", l.done.Load(), n, patience)
		case <-tick.C:
		}
	}
	return true
}

// readAll reads each diary once more, so that what was acknowledged last must be
// there too.
func (l *load) readAll(t *testing.T) {
	t.Helper()
	seen := map[string]bool{}
	for _, op := range l.history {
		x := op.Input.(input).Experiment
		if seen[x] {
			continue
		}
		seen[x] = true
		in := input{Op: "read", Experiment: x}
		if _, err := l.certain(t.Context(), clients, in, call{Op: "read", Experiment: x}); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *load) check(t *testing.T) {
	t.Helper()
	for _, part := range model.Partition(l.history) {
		if len(part) > 1000 {
			t.Errorf("a history of %d operations", len(part))
		}
		result, info := porcupine.CheckOperationsVerbose(model, part, 5*time.Minute)
		if result == porcupine.Ok {
			continue
		}
		file := filepath.Join(os.TempDir(), "booknode-"+part[0].Input.(input).Experiment+".html")
		err := porcupine.VisualizePath(model, info, file)
		t.Errorf("%s: %s; see %s (%v)", part[0].Input.(input).Experiment, result, file, err)
	}
}
