package messaging_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/lodge-gateway/lodge/messaging"
)

func TestCallsEndWithTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := messaging.NewCalls()
		ctx, done, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var heard error
		go func() {
			for _, err := range c.Changes(context.Background()) {
				heard = err
			}
		}()
		waited := false
		synctest.Wait()
		if !c.Close() || c.Close() {
			t.Error("the first Close is not told from the second")
		}
		go func() { c.Wait(); waited = true }()
		synctest.Wait()
		if waited {
			t.Error("Wait did not wait for a call")
		}
		for what, ctx := range map[string]context.Context{"the call": ctx, "life": c.Life()} {
			if cause := context.Cause(ctx); !errors.Is(cause, messaging.ErrClosed) {
				t.Errorf("%s ended of %v", what, cause)
			}
		}
		if !errors.Is(heard, messaging.ErrClosed) {
			t.Errorf("who hears changes is told %v", heard)
		}
		if _, _, err := c.Begin(t.Context()); !errors.Is(err, messaging.ErrClosed) {
			t.Errorf("a call after the end: %v", err)
		}
		done()
		synctest.Wait()
		if !waited {
			t.Error("Wait waits for nobody")
		}
	})
}

func TestCallsEndWithTheirCaller(t *testing.T) {
	c := messaging.NewCalls()
	defer c.Close()
	caller, leave := context.WithCancel(t.Context())
	ctx, done, err := c.Begin(caller)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	<-ctx.Done()
	done()
	if c.Life().Err() != nil {
		t.Error("one caller ended the log's life")
	}
	if _, _, err := c.Begin(caller); !errors.Is(err, context.Canceled) {
		t.Errorf("a call of who has left: %v", err)
	}
}
