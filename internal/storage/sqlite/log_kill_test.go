package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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
		env := []string{envScribble + "=" + path, envScribbleRun + "=" + fmt.Sprint("run", run)}
		messagingtest.ScribbleUntilKilled(t, env, func(line string) (enough bool) {
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
