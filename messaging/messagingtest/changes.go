package messagingtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

var changes = []property{
	{"appends and drops are hinted to every listener", changesHint},
	{"a listener ends with its context", changesEnd},
}

// listen runs an iteration over the changes and returns the topics and the
// error it ended with.
func listen(ctx context.Context, wg *sync.WaitGroup, log messaging.Log) (<-chan messaging.Topic, <-chan error) {
	topics, end := make(chan messaging.Topic, 1024), make(chan error, 1)
	wg.Go(func() {
		for name, err := range log.Changes(ctx) {
			if err != nil {
				end <- err
				return
			}
			select {
			case topics <- name:
			default: // a hint too many
			}
		}
		end <- nil
	})
	return topics, end
}

// hinted repeats do until a hint for name arrives. A hint may be lost while the
// listener starts, hence again and again.
func hinted(t *testing.T, topics <-chan messaging.Topic, name messaging.Topic, do func(try int)) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for try := 0; ; try++ {
		do(try)
		for waiting := true; waiting; {
			select {
			case got := <-topics:
				if got == name {
					return
				}
			case <-again.C:
				waiting = false
			case <-deadline:
				t.Fatalf("no hint for %q", name)
			}
		}
	}
}

func changesHint(t *testing.T, log messaging.Log) {
	ctx, stop := context.WithCancel(within(t))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	first, _ := listen(ctx, &wg, log)
	second, _ := listen(ctx, &wg, log)
	for i, topics := range []<-chan messaging.Topic{first, second} {
		hinted(t, topics, "a", func(try int) { put(t, log, "a", msg(fmt.Sprintf("l%d-%d", i, try))) })
		hinted(t, topics, "b", func(try int) { put(t, log, "b", msg(fmt.Sprintf("l%d-%d", i, try))) })
		hinted(t, topics, "c", func(int) {
			put(t, log, "c", msg("m"))
			drop(t, log, "c")
		})
	}
}

func changesEnd(t *testing.T, log messaging.Log) {
	ctx, stop := context.WithCancel(within(t))
	var wg sync.WaitGroup
	topics, end := listen(ctx, &wg, log)
	hinted(t, topics, topic, func(try int) { put(t, log, topic, msg(fmt.Sprint(try))) })
	stop()
	wg.Wait()
	if err := <-end; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("a listener ended with %v", err)
	}
	// A loop that is left early takes nothing along.
	ctx, stop = context.WithCancel(within(t))
	defer stop()
	wg.Go(func() {
		for range log.Changes(ctx) {
			return
		}
	})
	left := make(chan struct{})
	go func() { wg.Wait(); close(left) }()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for try := 0; ; try++ {
		put(t, log, topic, msg(fmt.Sprint("again", try)))
		select {
		case <-left:
			return
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("no hint")
		}
	}
}
