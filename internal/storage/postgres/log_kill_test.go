package postgres

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

	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/internal/soaktest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// With these set, the test binary is the process that TestLogNodeKilled kills.
const (
	envScribble    = "LODGE_TEST_SCRIBBLE_POSTGRES" // the database's URL
	envScribbleRun = "LODGE_TEST_SCRIBBLE_RUN"      // the name of the run
)

func init() {
	url := os.Getenv(envScribble)
	if url == "" {
		return
	}
	ctx := context.Background()
	db, err := Open(ctx, url, quick())
	if err == nil {
		err = messagingtest.Scribble(ctx, NewLog(db), os.Getenv(envScribbleRun), os.Stdout)
	}
	fmt.Fprintln(os.Stderr, err) // only an error ends it
	os.Exit(1)
}

// TestLogNodeKilled has processes write to one database, each until it is killed
// at a random moment, and looks for all that they were told is safe.
func TestLogNodeKilled(t *testing.T) {
	url := fresh(t)
	var ledger messagingtest.Ledger
	for run := range soaktest.Rounds(5, 20, 100) {
		more := 50 + rand.N(800)
		env := []string{envScribble + "=" + url, envScribbleRun + "=" + fmt.Sprint("run", run)}
		messagingtest.ScribbleUntilKilled(t, env, func(line string) (enough bool) {
			ledger.Note(t, line)
			more--
			return more == 0
		})
		log := openLog(t, url)
		ledger.Check(t, log)
		closeAll(t, log)
	}
	soaktest.Report(t, "%d acknowledged messages survived", ledger.Len())
}

// TestLogServerKilled kills every process of the server at a random moment under
// a node that writes, which goes on with the server that comes back.
func TestLogServerKilled(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{Sync: true})
	log := patientLog(t, server.Database(t))
	var ledger messagingtest.Ledger
	for run := range soaktest.Rounds(4, 15, 100) {
		more := 50 + rand.N(800)
		said, say := io.Pipe()
		defer func() { _ = said.Close() }() // should a line fail the test
		var failed error
		var wg sync.WaitGroup
		wg.Go(func() {
			failed = messagingtest.Scribble(t.Context(), log, fmt.Sprint("run", run), say)
			_ = say.Close() // which cannot fail
		})
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			ledger.Note(t, lines.Text())
			if more--; more == 0 {
				server.Kill9()
			}
		}
		wg.Wait()
		if more > 0 {
			t.Fatalf("%d lines before the server was to be killed, the log says %v", more, failed)
		}
		if !errors.Is(failed, messaging.ErrUncertain) && !errors.Is(failed, messaging.ErrUnavailable) {
			t.Errorf("the server was killed, and the log says %v", failed)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			_, err := log.Heads(t.Context(), []messaging.Topic{"any"})
			return err
		})
		ledger.Check(t, log)
	}
	soaktest.Report(t, "%d acknowledged messages survived", ledger.Len())
}

// patientLog opens a log with the limits of production: a disk that others keep busy
// for seconds is no reason for it to fail before its server is killed.
func patientLog(t *testing.T, url string) *Log {
	t.Helper()
	options := quick()
	options.Timeout = 0
	db, err := Open(t.Context(), url, options)
	if err != nil {
		t.Fatal(err)
	}
	log := NewLog(db)
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return log
}
