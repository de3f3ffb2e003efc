package redis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// gate answers each key with itself, when it is let, and counts the round trips.
type gate struct {
	redis.Cmdable
	asked chan int      // receives how many keys a round trip is for
	let   chan struct{} // sent to for each round trip that may be answered
}

func (g gate) MGet(ctx context.Context, keys ...string) *redis.SliceCmd {
	cmd := redis.NewSliceCmd(ctx)
	g.asked <- len(keys)
	select {
	case <-g.let:
	case <-ctx.Done():
		cmd.SetErr(ctx.Err())
		return cmd
	}
	values := make([]any, len(keys))
	for i, key := range keys {
		values[i] = key
	}
	cmd.SetVal(values)
	return cmd
}

func newGate() gate { return gate{asked: make(chan int, 100), let: make(chan struct{}, 100)} }

// waiting returns once so many readers are boarding.
func waiting(t *testing.T, j *joiner, n int) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		j.mu.Lock()
		d := j.tenants["t"]
		boarding := d != nil && d.next != nil && len(d.next.names) == n
		j.mu.Unlock()
		if boarding {
			return
		}
		select {
		case <-limit:
			t.Fatalf("there are never %d readers waiting", n)
		default:
			runtime.Gosched()
		}
	}
}

func TestReadersWhoComeMeanwhileAreJoined(t *testing.T) {
	g := newGate()
	j := newJoiner(g)
	var wg sync.WaitGroup
	read := func(n int) {
		id := sessions.ID(fmt.Sprint(n))
		wg.Go(func() {
			got, err := j.get(t.Context(), "t", id)
			if want := keysOf("t").session(id); err != nil || got != want {
				t.Errorf("reading %s: got %v, %v", want, got, err)
			}
		})
	}
	for n := range flights {
		read(n)
		if keys := <-g.asked; keys != 1 {
			t.Fatalf("a reader whom nobody is before asked for %d keys", keys)
		}
	}
	for n := range 10 {
		read(100 + n)
	}
	waiting(t, j, 10)
	g.let <- struct{}{}
	if keys := <-g.asked; keys != 10 {
		t.Errorf("ten waiting readers were asked for as %d", keys)
	}
	for range flights {
		g.let <- struct{}{}
	}
	wg.Wait()
	j.wg.Wait()
	read(200)
	if keys := <-g.asked; keys != 1 {
		t.Errorf("a reader after all asked for %d keys", keys)
	}
	g.let <- struct{}{}
	wg.Wait()
}

func TestJoinedReaderMayLeave(t *testing.T) {
	g := newGate()
	j := newJoiner(g)
	var wg sync.WaitGroup
	for n := range flights {
		wg.Go(func() {
			if _, err := j.get(t.Context(), "t", sessions.ID(fmt.Sprint(n))); err != nil {
				t.Error(err)
			}
		})
		<-g.asked
	}
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() {
		if _, err := j.get(ctx, "t", "leaves"); !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
	})
	waiting(t, j, 1)
	wg.Go(func() {
		if _, err := j.get(t.Context(), "t", "stays"); err != nil {
			t.Errorf("who stayed got %v", err)
		}
	})
	waiting(t, j, 2)
	cancel()
	for range flights + 1 {
		g.let <- struct{}{}
	}
	wg.Wait()
	j.wg.Wait()
}

// TestSec32_TenantsAreNeverJoined: what one tenant's readers ask goes to no other's
// round trip.
func TestSec32_TenantsAreNeverJoined(t *testing.T) {
	g := newGate()
	j := newJoiner(g)
	var wg sync.WaitGroup
	for _, tenant := range []lodge.Tenant{"a", "b", "c"} {
		for range flights {
			wg.Go(func() {
				if got, err := j.get(t.Context(), tenant, "same"); err != nil || got != keysOf(tenant).session("same") {
					t.Errorf("%s: got %v, %v", tenant, got, err)
				}
			})
			if keys := <-g.asked; keys != 1 {
				t.Errorf("joined %d", keys)
			}
		}
	}
	for range 3 * flights {
		g.let <- struct{}{}
	}
	wg.Wait()
	j.wg.Wait()
}
