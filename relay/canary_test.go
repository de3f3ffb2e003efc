package relay

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// The canary takes the way of every other message, and nobody sees or hears it.
func TestCanary(t *testing.T) {
	var mu sync.Mutex
	var heard, lost int
	r := onNetwork(t, Options{CanaryEvery: 2 * time.Millisecond, Canary: func(delay time.Duration, gone bool) {
		mu.Lock()
		defer mu.Unlock()
		if gone {
			lost++
			return
		}
		heard++
		if delay <= 0 || delay > canaryWait {
			t.Errorf("it took %s", delay)
		}
	}})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	defer running.Wait()
	defer stop()
	count := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return heard, lost
	}
	wstest.Eventually(t, "ten messages", func() bool { n, _ := count(); return n >= 10 })
	if s := r.Stats(); s.Peers != 0 || s.Rooms != 0 || s.In != 0 || len(r.Peers(lodge.DefaultTenant)) != 0 {
		t.Errorf("it is counted: %+v", s)
	}
	r.access.allow("nosy", CanaryTopic, true, true, time.Time{})
	if status, answer := r.post(t, CanaryTopic, "nosy"); status != http.StatusForbidden {
		t.Errorf("a code opens it: %d %v", status, answer)
	}

	// One whose connections are cut is noticed, and comes back.
	before, _ := count()
	r.rooms.each(func(p *peer) { p.shut(StatusGoingAway, "for the test") })
	wstest.Eventually(t, "the loss", func() bool { _, n := count(); return n == 1 })
	wstest.Eventually(t, "its return", func() bool { n, _ := count(); return n > before+5 })
	if err := r.Drain(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, n := count(); n != 1 {
		t.Errorf("%d were lost; to stop is no loss", n)
	}
}
