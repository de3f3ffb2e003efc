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

var closing = []property{
	{"a closed log refuses everything", closedRefuses},
	{"a context that has ended does nothing", endedContext},
	{"closing ends what is under way at once", closeUnderWay},
}

// every calls each method once and reports what each returned.
func every(ctx context.Context, log messaging.Log, at messaging.Pos) map[string]error {
	errs := map[string]error{}
	_, errs["append"] = log.Append(ctx, topic, []messaging.Msg{msg("x")}, nil)
	_, errs["read"] = log.Read(ctx, topic, messaging.Pos{}, 1)
	_, errs["read back"] = log.ReadBack(ctx, topic, messaging.Pos{}, 1)
	_, errs["heads"] = log.Heads(ctx, []messaging.Topic{topic})
	errs["discard"] = log.Discard(ctx, topic, at)
	errs["drop"] = log.Drop(ctx, topic)
	_, _, errs["load snapshot"] = log.LoadSnapshot(ctx, topic)
	_, errs["save snapshot"] = log.SaveSnapshot(ctx, topic, 0, messaging.Snapshot{At: at})
	return errs
}

func closedRefuses(t *testing.T, log messaging.Log) {
	at := put(t, log, topic, msg("m"))[0]
	closeLog(t, log)
	for what, err := range every(within(t), log, at) {
		if !errors.Is(err, messaging.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
	var last error
	for _, err := range log.Changes(within(t)) {
		last = err
	}
	if !errors.Is(last, messaging.ErrClosed) {
		t.Errorf("changes: %v, want ErrClosed", last)
	}
	closeLog(t, log)
}

func endedContext(t *testing.T, log messaging.Log) {
	at := put(t, log, topic, msg("m"))[0]
	ctx, stop := context.WithCancel(within(t))
	stop()
	for what, err := range every(ctx, log, at) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the context's error", what, err)
		}
	}
	if got := all(t, log, topic, messaging.Pos{}, 10); len(got) != 1 {
		t.Fatalf("a call with an ended context did something: %s", ids(got))
	}
}

func closeUnderWay(t *testing.T, log messaging.Log) {
	ctx := within(t)
	warm := make(chan struct{}, 1024)
	var wg sync.WaitGroup
	until := func(what string, call func(i int) error) {
		wg.Go(func() {
			for i := 0; ; i++ {
				if err := call(i); err != nil {
					if !errors.Is(err, messaging.ErrClosed) && !errors.Is(err, messaging.ErrUncertain) {
						t.Errorf("%s: %v, want ErrClosed", what, err)
					}
					return
				}
				select {
				case warm <- struct{}{}:
				default:
				}
			}
		})
	}
	for w := range 16 {
		until("append", func(i int) error {
			_, err := log.Append(ctx, topic, []messaging.Msg{msg(fmt.Sprintf("w%d-%d", w, i))}, nil)
			return err
		})
	}
	for range 4 {
		until("read back", func(int) error { _, err := log.ReadBack(ctx, topic, messaging.Pos{}, 5); return err })
		until("read", func(int) error { _, err := log.Read(ctx, topic, messaging.Pos{}, 5); return err })
		until("load snapshot", func(int) error { _, _, err := log.LoadSnapshot(ctx, topic); return err })
		until("discard", func(int) error { return log.Discard(ctx, topic, messaging.Pos{}) })
		until("heads", func(int) error { _, err := log.Heads(ctx, []messaging.Topic{topic}); return err })
	}
	_, end := listen(ctx, &wg, log)
	for range 200 {
		<-warm
	}
	began := time.Now()
	closeLog(t, log)
	wg.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	if err := <-end; !errors.Is(err, messaging.ErrClosed) {
		t.Errorf("changes: %v, want ErrClosed", err)
	}
}
