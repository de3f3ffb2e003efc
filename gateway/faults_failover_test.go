package gateway_test

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// The master dies and a replica is promoted: until then every endpoint answers 503,
// then as before, and what is live goes on. Which sessions come through is
// tested where the store is (internal/storage/redis).
func TestRel06_FaultFailover(t *testing.T) {
	t.Parallel()
	w, want := newFaultWorldOn(t, sentinel, time.Second, 15*time.Second), promised(t, "Redis fails over")
	w.is(want, answers{signIn: 503, verify: 503, page: 503, socket: 503, exchange: 503, upgrade: 503, revoke: 503, lookup: 503})
	// An attempt to open the stream spends its address, and none is to be had
	// meanwhile.
	tickets := make(chan string, 60)
	for range cap(tickets) - 1 {
		_, uri := w.exchange()
		tickets <- uri
	}
	status := func(code int, _ []byte) int { return code }
	w.failover.Replicated()
	master := w.failover.Master()
	since := time.Now()
	master.Kill()

	var all sync.WaitGroup
	for _, one := range []struct {
		what   string
		during int
		after  []int
		ask    func() int
	}{
		{"sign-in", want.signIn, []int{200}, func() int { return status(w.signIn(w.client(), "soren")) }},
		{"verify", want.verify, []int{200}, func() int { return status(w.do(w.ada, "GET", "/auth/verify", nil, "")) }},
		{"page", want.page, []int{200}, func() int { return status(w.do(w.ada, "GET", "/bookings/"+w.booking.ID, nil, "")) }},
		{"message socket", want.socket, []int{101}, func() int { return dialled(w.messageSocket()) }},
		{"exchange", want.exchange, []int{200}, func() int { code, _ := w.exchange(); return code }},
		{"upgrade", want.upgrade, []int{101}, func() int { return dialled(w.dial(<-tickets, nil, "")) }},
		// What was answered with 503 is in the journal, and may be done since.
		{"ending a session", want.revoke, []int{204, 404}, func() int { return status(w.do(w.ada, "DELETE", "/api/v1/me/sessions/"+w.other, nil, "")) }},
		{"lookup", want.lookup, []int{200}, func() int { return status(w.lookUp()) }},
	} {
		all.Go(func() {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			refused := 0
			for {
				got := one.ask()
				switch took := time.Since(since).Round(time.Millisecond); {
				case got == one.during && took < 25*time.Second:
					refused++
				case got == one.after[0] || got == one.after[len(one.after)-1]:
					if refused == 0 {
						t.Errorf("%s: answered %d at once, after %v", one.what, got, took)
					}
					t.Logf("%s: %d times %d, then %d after %v", one.what, refused, one.during, got, took)
					return
				default:
					t.Errorf("%s: %d after %v", one.what, got, took)
					return
				}
				<-tick.C
			}
		})
	}
	w.failover.Promoted(master)
	all.Wait()
	w.fares(since, want)
	if code := status(w.do(w.ada, "GET", "/auth/verify", nil, "")); code != http.StatusOK {
		t.Errorf("afterwards: %d", code)
	}
}
