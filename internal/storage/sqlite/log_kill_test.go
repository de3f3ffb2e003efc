package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// With these set, the test binary is the process that TestLogKilled kills.
const (
	envScribble    = "LODGE_TEST_SCRIBBLE"     // the database file
	envScribbleRun = "LODGE_TEST_SCRIBBLE_RUN" // the name of the run
)

func init() {
	path := os.Getenv(envScribble)
	if path == "" {
		return
	}
	ctx := context.Background()
	db, err := Open(ctx, path)
	if err == nil {
		err = messagingtest.Scribble(ctx, NewLog(db), os.Getenv(envScribbleRun), os.Stdout)
	}
	fmt.Fprintln(os.Stderr, err) // only an error ends it
	os.Exit(1)
}

// TestLogKilled has processes write to one database, each until it is killed at
// a random moment, and looks for all that they were told is safe.
func TestLogKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lodge.db")
	var ledger messagingtest.Ledger
	for run := range 8 {
		more := 50 + rand.N(1000)
		scribbleUntilKilled(t, path, fmt.Sprint("run", run), func(line string) (enough bool) {
			ledger.Note(t, line)
			more--
			return more == 0
		})
		log := openLog(t, path)
		ledger.Check(t, log)
		closeLog(t, log)
	}
	t.Logf("%d acknowledged messages survived", ledger.Len())
}

// scribbleUntilKilled runs a process that scribbles, kills it when note has
// enough, and hands note what it said until it was dead.
func scribbleUntilKilled(t *testing.T, path, run string, note func(line string) bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envScribble+"="+path, envScribbleRun+"="+run)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { // when note fails the test; else both come too late
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	killed := false
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the end; a torn line was not said
		}
		if note(strings.TrimSpace(line)) {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			killed = true
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || !killed || exit.Exited() {
		t.Fatalf("the process ended by itself: %v: %s", err, complaint.String())
	}
}
