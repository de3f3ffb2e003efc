package jetstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/natstest"
	"github.com/lodge-gateway/lodge/internal/soaktest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// With these set, the test binary is the process that TestRel02_LogNodeKilled kills.
const (
	envScribble    = "LODGE_TEST_SCRIBBLE_JETSTREAM" // the server's URL
	envScribbleRun = "LODGE_TEST_SCRIBBLE_RUN"       // the name of the run
)

func init() {
	url := os.Getenv(envScribble)
	if url == "" {
		return
	}
	ctx := context.Background()
	log, err := NewLog(ctx, Config{URLs: []string{url}, SyncVouched: true})
	if err == nil {
		err = messagingtest.Scribble(ctx, log, os.Getenv(envScribbleRun), os.Stdout)
	}
	fmt.Fprintln(os.Stderr, err) // only an error ends it
	os.Exit(1)
}

// TestRel02_LogNodeKilled has processes write to one server, each until it is killed at a
// random moment, and looks for all that they were told is safe.
func TestRel02_LogNodeKilled(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	var ledger messagingtest.Ledger
	for run := range soaktest.Rounds(4, 15, 100) {
		more := 50 + rand.N(600)
		env := []string{envScribble + "=" + server.URL(), envScribbleRun + "=" + fmt.Sprint("run", run)}
		messagingtest.ScribbleUntilKilled(t, env, func(line string) (enough bool) {
			ledger.Note(t, line)
			more--
			return more == 0
		})
		log := openLog(t, configFor(server))
		ledger.Check(t, log)
		closeLog(t, log)
	}
	soaktest.Report(t, "%d acknowledged messages survived the killed nodes", ledger.Len())
}

// TestRel02_LogServerKilled kills the server at a random moment under a node that
// writes, which goes on with the server that comes back.
func TestRel02_LogServerKilled(t *testing.T) {
	server := natstest.Start(t, natstest.Options{})
	log := openLog(t, configFor(server))
	var ledger messagingtest.Ledger
	for run := range soaktest.Rounds(4, 15, 100) {
		scribble(t, log, fmt.Sprint("run", run), &ledger, server.Kill9)
		server.Restart()
		recovered(t, log)
		ledger.Check(t, log)
	}
	soaktest.Report(t, "%d acknowledged messages survived the killed server", ledger.Len())
}

// scribble has a log write until it fails, and runs kill at a random moment.
func scribble(t *testing.T, log *Log, run string, ledger *messagingtest.Ledger, kill func()) {
	t.Helper()
	more := 50 + rand.N(600)
	said, say := io.Pipe()
	defer func() { _ = said.Close() }() // should a line fail the test
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		err := messagingtest.Scribble(ctx, log, run, say)
		if !errors.Is(err, messaging.ErrUncertain) && !errors.Is(err, messaging.ErrUnavailable) && ctx.Err() == nil {
			t.Errorf("a server was killed, and the log says %v", err)
		}
		_ = say.Close() // which cannot fail
	})
	for lines := bufio.NewScanner(said); lines.Scan(); {
		ledger.Note(t, lines.Text())
		if more--; more == 0 {
			kill()
		}
		if more == -500 { // one that is not the leader, nor connected to, goes unnoticed
			stop()
		}
	}
	wg.Wait()
}

// recovered waits until a log has its servers again, for all its streams.
func recovered(t *testing.T, log *Log) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for {
		_, err := log.Heads(ctx, []messaging.Topic{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"})
		if err == nil {
			return
		}
		if !wait(ctx, 10*time.Millisecond) {
			t.Fatalf("the log does not recover: %v", err)
		}
	}
}
