package gateway_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/sessions"
)

// answers are the statuses of one row of the table "When something fails" in
// deploy/README.md, and how what is live fares.
type answers struct {
	signIn, verify, page, socket, exchange, upgrade, revoke, lookup int
	messages, data                                                  websocket.StatusCode // 0: stays
}

// allWell is what everything answers when nothing fails.
var allWell = answers{signIn: 200, verify: 200, page: 200, socket: 101, exchange: 200, upgrade: 101, revoke: 204, lookup: 200}

// probe asks every endpoint at once. Nobody may be told that something was done
// that was not, so the order does not matter.
func (w *faultWorld) probe() (got answers, took time.Duration) {
	began := time.Now()
	var all sync.WaitGroup
	ask := func(to *int, fn func() int) { all.Go(func() { *to = fn() }) }
	status := func(code int, _ []byte) int { return code }
	dialled := func(conn *websocket.Conn, code int) int {
		if conn != nil {
			_ = conn.CloseNow()
		}
		return code
	}
	ask(&got.signIn, func() int { return status(w.signIn(w.client(), "soren")) })
	ask(&got.verify, func() int { return status(w.do(w.ada, "GET", "/auth/verify", nil, "")) })
	ask(&got.page, func() int { return status(w.do(w.ada, "GET", "/bookings/"+w.booking.ID, nil, "")) })
	ask(&got.socket, func() int { return dialled(w.messageSocket()) })
	ask(&got.exchange, func() int { code, _ := w.exchange(); return code })
	ask(&got.upgrade, func() int { return dialled(w.dial(w.ticket, nil, "")) })
	ask(&got.revoke, func() int { return status(w.do(w.ada, "DELETE", "/api/v1/me/sessions/"+w.other, nil, "")) })
	ask(&got.lookup, func() int {
		return status(w.do(w.client(), "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: w.booking.Surname, Reference: w.booking.Reference}, ""))
	})
	all.Wait()
	return got, time.Since(began)
}

func (w *faultWorld) is(got, want answers) {
	w.Helper()
	want.messages, want.data = 0, 0
	if got != want {
		w.Errorf("answered %+v\n    want %+v", got, want)
	}
}

// fares checks what becomes of what was live when a fault began.
func (w *faultWorld) fares(since time.Time, want answers) {
	w.Helper()
	for _, one := range []struct {
		live *liveSocket
		code websocket.StatusCode
	}{{w.messages, want.messages}, {w.data, want.data}} {
		if one.code == 0 {
			one.live.stays()
			continue
		}
		took := one.live.ends(since, faultGrace+faultSlack, one.code)
		w.Logf("live %s: %d after %v", one.live.what, one.code, took.Round(time.Millisecond))
	}
}

func both(t *testing.T, fn func(t *testing.T, onRedis bool)) {
	for name, onRedis := range map[string]bool{"Embedded": false, "Redis": true} {
		t.Run(name, func(t *testing.T) { t.Parallel(); fn(t, onRedis) })
	}
}

func TestFaultNone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, onRedis bool) {
		w := newFaultWorld(t, onRedis)
		got, _ := w.probe()
		w.is(got, allWell)
		w.fares(time.Now(), allWell)
	})
}

var unreachable = answers{503, 503, 503, 503, 503, 503, 503, 503, 4408, 4408}

// The session store is gone: the connection is refused or ends.
func TestFaultStoreUnreachable(t *testing.T) {
	t.Parallel()
	w := newFaultWorld(t, true)
	w.proxy.Cut()
	since := time.Now()
	got, took := w.probe()
	w.is(got, unreachable)
	t.Logf("all refused within %v", took.Round(time.Millisecond))
	w.fares(since, unreachable)
	w.proxy.Pass()
	w.comesBack()
}

// It is there and says nothing: the same, after a time-out.
func TestFaultStoreHangs(t *testing.T) {
	t.Parallel()
	w := newFaultWorld(t, true)
	w.proxy.Hang()
	since := time.Now()
	got, took := w.probe()
	w.is(got, unreachable)
	t.Logf("all refused within %v", took.Round(time.Millisecond))
	if took > 12*time.Second {
		t.Errorf("it took %v", took)
	}
	w.fares(since, unreachable)
	w.proxy.Pass()
	w.comesBack()
}

// comesBack waits until everything is well again.
func (w *faultWorld) comesBack() {
	w.Helper()
	began := time.Now()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		status, _ := w.do(w.ada, "GET", "/auth/verify", nil, "")
		if status == http.StatusOK {
			w.Logf("answers again after %v", time.Since(began).Round(time.Millisecond))
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			w.Fatalf("the store is back, and /auth/verify answers %d", status)
		}
	}
}

// Each answer of the store comes half a second late: slower, and nothing more.
func TestRel09_FaultStoreSlow(t *testing.T) {
	t.Parallel()
	w := newFaultWorldWith(t, true, 5*time.Second, 15*time.Second)
	w.proxy.Delay(500 * time.Millisecond)
	since := time.Now()
	got, took := w.probe()
	w.is(got, allWell)
	t.Logf("all answered within %v", took.Round(time.Millisecond))
	var many sync.WaitGroup
	for range 100 { // more than the pool has connections
		many.Go(func() {
			if status, _ := w.do(w.ada, "GET", "/auth/verify", nil, ""); status != http.StatusOK {
				t.Errorf("under load: %d", status)
			}
		})
	}
	many.Wait()
	w.fares(since, allWell)
}

// The store takes no new entry: nobody gets in anew, everybody can be put out.
func TestRel10_FaultRedisFull(t *testing.T) {
	t.Parallel()
	w := newFaultWorld(t, true)
	w.server.Ask("CONFIG", "SET", "maxmemory", "1")
	since := time.Now()
	want := allWell
	want.signIn, want.lookup = 503, 503
	got, _ := w.probe()
	w.is(got, want)
	w.fares(since, want)
	if status, raw := w.do(w.ada, "DELETE", "/api/v1/bookings/"+w.booking.ID, nil, ""); status != http.StatusOK {
		t.Fatalf("cancelling: %d %s", status, raw)
	}
	w.data.ends(since, faultGrace+faultSlack, 4403)
}

// All sessions are lost: everything is refused as unknown, and people sign in
// again.
func TestRel11_FaultRedisEmptied(t *testing.T) {
	t.Parallel()
	w := newFaultWorld(t, true)
	w.server.Ask("FLUSHALL")
	since := time.Now()
	want := answers{signIn: 200, verify: 401, page: 200, socket: 401, exchange: 401, upgrade: 401, revoke: 401, lookup: 200, messages: 4401, data: 4401}
	got, _ := w.probe()
	w.is(got, want)
	w.fares(since, want)
}

// Hints do not arrive: what was revoked elsewhere ends within one poll.
func TestRel04_FaultPushLost(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"with push": false, "push lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFaultWorld(t, true)
			if lost {
				w.proxy.Mute("psubscribe")
				w.server.Ask("CLIENT", "KILL", "TYPE", "pubsub") // so that it is asked for anew, through the fault
			}
			got, _ := w.probe()
			w.is(got, allWell)
			w.fares(time.Now(), allWell)
			since := time.Now()
			if err := w.elsewhere.Cancel(t.Context(), lodge.DefaultTenant, w.booking.ID, "The lab closes early.", time.Time{}); err != nil {
				t.Fatal(err)
			}
			took := w.data.ends(since, faultPoll+faultSlack, 4403)
			t.Logf("revoked on another node to closed stream: %v", took.Round(time.Millisecond))
			since = time.Now()
			login := w.session(sessions.Login)
			if err := w.elsewhere.Revoke(t.Context(), lodge.DefaultTenant, login.ID, "Ended by root."); err != nil {
				t.Fatal(err)
			}
			took = w.messages.ends(since, faultPoll+faultSlack, 4403)
			t.Logf("revoked on another node to closed message socket: %v", took.Round(time.Millisecond))
		})
	}
}

// session returns the live session of Ada's that is not the other one.
func (w *faultWorld) session(kind sessions.Kind) sessions.Session {
	w.Helper()
	list, err := w.sessions.List(w.Context(), lodge.DefaultTenant, sessions.Filter{Kind: kind})
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range list {
		if string(s.ID) != w.other && s.Name == "Ada Lovelace" && s.State(w.clock.Now()) == sessions.Active {
			return s
		}
	}
	w.Fatalf("Ada has no session of kind %s", kind)
	return sessions.Session{}
}

// The database is gone. With the embedded store, that is the session store too.
func TestRel13_FaultDatabaseDown(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, onRedis bool) {
		w := newFaultWorld(t, onRedis)
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		want := unreachable
		if onRedis {
			want.verify = 200 // all of it is in the session store
			want.messages = 0 // until its membership has to be read again
		}
		got, _ := w.probe()
		w.is(got, want)
		w.fares(since, want)
	})
}

// The database takes no write: what needs one waits, all else goes on. Nothing
// is answered that was not done.
func TestRel13_FaultDatabaseLocked(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, onRedis bool) {
		w := newFaultWorld(t, onRedis)
		w.clock.add(2 * time.Minute) // activity is due to be written
		held, release := make(chan struct{}), make(chan struct{})
		var holder sync.WaitGroup
		holder.Go(func() {
			err := w.db.Update(t.Context(), func(*sqlite.Tx) error { close(held); <-release; return nil })
			if err != nil {
				t.Error(err)
			}
		})
		<-held
		since := time.Now()
		revoked := make(chan int, 1)
		go func() {
			status, _ := w.do(w.ada, "DELETE", "/api/v1/me/sessions/"+w.other, nil, "")
			revoked <- status
		}()
		for _, path := range []string{"/auth/verify", "/bookings/" + w.booking.ID} {
			if status, _ := w.do(w.ada, "GET", path, nil, ""); status != http.StatusOK {
				t.Errorf("%s: %d", path, status)
			}
		}
		if conn, status := w.messageSocket(); conn == nil {
			t.Errorf("message socket: %d", status)
		} else {
			_ = conn.CloseNow()
		}
		status, uri := w.exchange()
		if status != http.StatusOK {
			t.Errorf("exchange: %d", status)
		}
		if conn, status := w.dial(uri, nil, ""); conn == nil {
			t.Errorf("upgrade: %d", status)
		} else {
			_ = conn.CloseNow()
		}
		w.fares(since, allWell)
		select {
		case status := <-revoked:
			t.Errorf("a revocation was answered with %d before it could be written", status)
		default:
		}
		close(release)
		holder.Wait()
		if status := <-revoked; status != http.StatusNoContent {
			t.Errorf("revocation once the lock was gone: %d", status)
		}
	})
}

// The gateway's clock jumps: ends come earlier or later by as much as the jump,
// and no revocation is undone.
func TestRel14_FaultClock(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, onRedis bool) {
		w := newFaultWorld(t, onRedis)
		w.clock.add(4 * time.Minute) // of the booking's five
		since := time.Now()
		if status, _ := w.exchange(); status != http.StatusOK {
			t.Errorf("within the booking: %d", status)
		}
		w.fares(since, allWell)
		w.clock.add(2 * time.Minute)
		since = time.Now()
		w.data.ends(since, faultPoll+faultSlack, 4401)
		if status, _ := w.exchange(); status != http.StatusUnauthorized {
			t.Errorf("after the booking: %d", status)
		}
		w.messages.stays()
		if status, _ := w.do(w.ada, "GET", "/auth/verify", nil, ""); status != http.StatusOK {
			t.Errorf("the login: %d", status)
		}
		if status, _ := w.do(w.ada, "DELETE", "/api/v1/me/sessions/"+w.other, nil, ""); status != http.StatusNoContent {
			t.Errorf("revoke: %d", status)
		}
		w.clock.add(-time.Hour)
		s, err := w.sessions.Get(t.Context(), lodge.DefaultTenant, sessions.ID(w.other))
		if err != nil || s.State(w.clock.Now()) != sessions.Revoked {
			t.Errorf("an hour back, the revoked session is %s, %v", s.State(w.clock.Now()), err)
		}
		if status, _ := w.do(w.ada, "GET", "/auth/verify", nil, ""); status != http.StatusOK {
			t.Errorf("an hour back, the login: %d", status)
		}
		w.messages.stays()
	})
}
