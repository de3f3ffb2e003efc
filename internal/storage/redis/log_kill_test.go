package redis

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge/messaging/messagingtest"
)

// TestLogServerKilled kills the server under writers at random moments, and looks
// for all that they were told is safe. With appendfsync always it is.
func TestLogServerKilled(t *testing.T) {
	server := startDurable(t)
	config := Config{Addrs: []string{server.Addr()}}
	var ledger messagingtest.Ledger
	for run := range 5 {
		log := openLog(t, config, LogOptions{})
		said, acknowledged := io.Pipe()
		var writing sync.WaitGroup
		writing.Go(func() {
			err := messagingtest.Scribble(context.Background(), log, fmt.Sprint("run", run), acknowledged)
			_ = acknowledged.CloseWithError(io.EOF) // which cannot fail
			if err == nil {
				t.Error("the writers ended without an error")
			}
		})
		more := 50 + rand.N(500)
		for lines := bufio.NewScanner(said); lines.Scan(); more-- {
			ledger.Note(t, strings.TrimSpace(lines.Text()))
			if more == 0 {
				server.Kill()
			}
		}
		writing.Wait()
		closeLog(t, log)
		server.Restart()
		after := openLog(t, config, LogOptions{})
		ledger.Check(t, after)
		closeLog(t, after)
	}
	t.Logf("%d acknowledged messages survived", ledger.Len())
}
