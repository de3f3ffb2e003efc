package messaging_test

import (
	"context"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

func TestPresenceIsOnLeases(t *testing.T) {
	h := newHouse(t, houseOptions{})
	h.let("a", "ada", "all")
	h.let("b", "ada", "booking:b")
	start := h.clock.Now()
	a := h.dial("a", "")
	a.caughtUp()
	h.clock.move(time.Minute)
	b := h.dial("b", "")
	b.caughtUp()
	online := h.hub.Online("t")
	if len(online) != 1 || online[0].Person != "ada" || online[0].Name != "Name of ada" || online[0].Connections != 2 || !online[0].Since.Equal(start) {
		t.Fatalf("%+v", online)
	}
	if other := h.hub.Online("other"); len(other) != 0 {
		t.Errorf("%+v", other)
	}
	h.clock.move(70 * time.Second) // two pings and a pong
	if online := h.hub.Online("t"); len(online) != 0 {
		t.Errorf("silent for too long: %+v", online)
	}
	a.sync()
	if online := h.hub.Online("t"); len(online) != 1 || !online[0].Seen.Equal(h.clock.Now()) {
		t.Errorf("%+v", online)
	}
}

func TestSeenIsToldOfComingStayingAndLeaving(t *testing.T) {
	reports := make(chan messaging.Seen, 1000)
	h := newHouse(t, houseOptions{hub: messaging.HubOptions{
		PingEvery: time.Millisecond,
		Seen:      func(_ context.Context, s messaging.Seen) { reports <- s },
	}})
	h.let("a", "ada", "all")
	h.let("x", "eve", "all")
	start := h.clock.Now()
	await := func(what string, ok func(messaging.Seen) bool) {
		t.Helper()
		ctx := testContext(t)
		for {
			select {
			case s := <-reports:
				if s.Tenant != "t" || s.Person != "ada" || s.Name != "Name of ada" || !s.From.Equal(start) {
					t.Fatalf("%+v", s)
				}
				if ok(s) {
					return
				}
			case <-ctx.Done():
				t.Fatalf("never told: %s", what)
			}
		}
	}
	// Who is refused was not there.
	h.roster.fail("x", lodge.E(lodge.CodeForbidden, "no"))
	if c, _ := h.tryDial("x", ""); c != nil {
		t.Fatal("not refused")
	}
	c := h.dial("a", "")
	await("came", func(s messaging.Seen) bool { return s.To.Equal(start) })
	c.caughtUp()
	h.clock.move(time.Minute)
	c.sync()
	await("stays", func(s messaging.Seen) bool { return s.To.Equal(start.Add(time.Minute)) })
	_ = c.ws.CloseNow()
	eventually(t, "left", func() bool { return len(h.hub.Online("t")) == 0 })
}
