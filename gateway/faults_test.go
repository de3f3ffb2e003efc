package gateway_test

import (
	"bytes"
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
	ask(&got.signIn, func() int { return status(w.signIn(w.client(), "soren")) })
	ask(&got.verify, func() int { return status(w.do(w.ada, "GET", "/auth/verify", nil, "")) })
	ask(&got.page, func() int { return status(w.do(w.ada, "GET", "/bookings/"+w.booking.ID, nil, "")) })
	ask(&got.socket, func() int { return dialled(w.messageSocket()) })
	ask(&got.exchange, func() int { code, _ := w.exchange(); return code })
	ask(&got.upgrade, func() int { return dialled(w.dial(w.ticket, nil, "")) })
	ask(&got.revoke, func() int { return status(w.do(w.ada, "DELETE", "/api/v1/me/sessions/"+w.other, nil, "")) })
	ask(&got.lookup, func() int {
		return status(w.lookUp())
	})
	all.Wait()
	return got, time.Since(began)
}

// dialled leaves at once what was opened.
func dialled(conn *websocket.Conn, code int) int {
	if conn != nil {
		_ = conn.CloseNow()
	}
	return code
}

func (w *faultWorld) lookUp() (int, []byte) {
	return w.do(w.client(), "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: w.booking.Surname, Reference: w.booking.Reference}, "")
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

// The session store is gone: the connection is refused or ends.
func TestFaultStoreUnreachable(t *testing.T) {
	t.Parallel()
	w, want := newFaultWorld(t, true), promised(t, "Redis unreachable")
	w.proxy.Cut()
	since := time.Now()
	got, took := w.probe()
	w.is(got, want)
	t.Logf("all refused within %v", took.Round(time.Millisecond))
	w.fares(since, want)
	w.proxy.Pass()
	w.comesBack()
}

// It is there and says nothing: the same, after a time-out.
func TestFaultStoreHangs(t *testing.T) {
	t.Parallel()
	w, want := newFaultWorld(t, true), promised(t, "Redis hangs")
	w.proxy.Hang()
	since := time.Now()
	got, took := w.probe()
	w.is(got, want)
	t.Logf("all refused within %v", took.Round(time.Millisecond))
	if took > 12*time.Second {
		t.Errorf("it took %v", took)
	}
	w.fares(since, want)
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
	w, want := newFaultWorldWith(t, true, 5*time.Second, 15*time.Second), promised(t, "Redis slow")
	const late = 500 * time.Millisecond
	w.proxy.Delay(late)
	since := time.Now()
	got, took := w.probe()
	w.is(got, want)
	t.Logf("all answered within %v", took.Round(time.Millisecond))
	if took < late {
		t.Errorf("answered within %v: the store was not slow", took)
	}
	// More at once than the pool has connections, again and again: nobody waits for
	// more than a few answers of the store, the last no longer than the first.
	const limit = 6 * late
	for round := range 3 {
		var many sync.WaitGroup
		for range 100 {
			many.Go(func() {
				began := time.Now()
				status, _ := w.do(w.ada, "GET", "/auth/verify", nil, "")
				if took := time.Since(began); status != http.StatusOK || took > limit {
					t.Errorf("under load, round %d: %d after %v", round, status, took)
				}
			})
		}
		many.Wait()
	}
	w.fares(since, want)
	w.proxy.Delay(0)
	began := time.Now()
	if status, _ := w.do(w.ada, "GET", "/auth/verify", nil, ""); status != http.StatusOK || time.Since(began) > limit {
		t.Errorf("quick again: %d after %v", status, time.Since(began))
	}
}

// The store takes no new entry: nobody gets in anew, everybody can be put out.
func TestRel10_FaultRedisFull(t *testing.T) {
	t.Parallel()
	w := newFaultWorld(t, true)
	w.server.Ask("CONFIG", "SET", "maxmemory", "1")
	since := time.Now()
	want := promised(t, "Redis full")
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
	grace := w.client()
	if status, raw := w.signIn(grace, "grace"); status != http.StatusOK {
		t.Fatalf("signing in: %d %s", status, raw)
	}
	if status, raw := w.do(grace, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "Before the flood."}, ""); status != http.StatusAccepted {
		t.Fatalf("sending: %d %s", status, raw)
	}
	w.server.Ask("FLUSHALL")
	since := time.Now()
	want := promised(t, "Redis emptied")
	got, _ := w.probe()
	w.is(got, want)
	w.fares(since, want)
	if _, body := w.do(w.ada, "GET", "/bookings/"+w.booking.ID, nil, ""); !bytes.Contains(body, []byte("Continue with Development")) {
		t.Errorf("the page is not the one to sign in at: %s", body)
	}
	// A host's code went with the rest. It comes back with a new one; who was signed
	// in comes back by signing in, to what was booked.
	if status, _ := w.do(w.client(), "POST", "/session/pend00-data", nil, w.host); status != http.StatusUnauthorized {
		t.Errorf("the host's code from before: %d", status)
	}
	anew, _, err := w.sessions.Create(t.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Host, Experiment: "pend00", Scopes: []string{"read:pend00-data", "write:pend00-data"},
		ExpiresAt: w.clock.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if status, raw := w.do(w.client(), "POST", "/session/pend00-data", nil, anew); status != http.StatusOK {
		t.Errorf("a host with a new code: %d %s", status, raw)
	}
	if status, raw := w.signIn(w.ada, "ada"); status != http.StatusOK {
		t.Fatalf("signing in again: %d %s", status, raw)
	}
	if status, body := w.do(w.ada, "GET", "/api/v1/bookings", nil, ""); status != http.StatusOK || !bytes.Contains(body, []byte(w.booking.ID)) {
		t.Errorf("the bookings of before: %d %s", status, body)
	}
	if status, body := w.do(w.ada, "GET", "/api/v1/messages", nil, ""); status != http.StatusOK || !bytes.Contains(body, []byte("Before the flood.")) {
		t.Errorf("the messages of before: %d %s", status, body)
	}
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
			want := promised(t, "Push lost")
			got, _ := w.probe()
			w.is(got, want)
			w.fares(time.Now(), want)
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
		want := promised(t, "Database down, sessions in it")
		if onRedis {
			want = promised(t, "Database down, sessions in Redis")
		}
		got, _ := w.probe()
		w.is(got, want)
		w.fares(since, want)
		if onRedis {
			login := w.session(sessions.Login)
			since = time.Now()
			if err := w.sessions.Refresh(t.Context(), lodge.DefaultTenant, login.Person, append(login.Groups, "another"), nil); err != nil {
				t.Fatal(err)
			}
			w.passUntilEnded(w.messages)
			took := w.messages.ends(since, faultGrace+faultSlack, 4408)
			t.Logf("topics read again to closed message socket: %v", took.Round(time.Millisecond))
		}
	})
}

// passUntilEnded lets the gateway's clock, by which memberships may go unread for
// a lease, go on until a socket has ended.
func (w *faultWorld) passUntilEnded(l *liveSocket) {
	limit := time.NewTimer(faultGrace + faultSlack)
	defer limit.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.clock.add(faultGrace / 10)
		case <-l.ended:
			return
		case <-limit.C:
			return
		}
	}
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
		since, want := time.Now(), promised(t, "Database locked")
		waiting := map[string]chan int{"ending a session": make(chan int, 1), "sign-in": make(chan int, 1), "lookup": make(chan int, 1)}
		for what, ask := range map[string]func() (int, []byte){
			"ending a session": func() (int, []byte) { return w.do(w.ada, "DELETE", "/api/v1/me/sessions/"+w.other, nil, "") },
			"sign-in":          func() (int, []byte) { return w.signIn(w.client(), "soren") },
			"lookup":           w.lookUp,
		} {
			holder.Go(func() { status, _ := ask(); waiting[what] <- status })
		}
		got := want
		got.verify, _ = w.do(w.ada, "GET", "/auth/verify", nil, "")
		got.page, _ = w.do(w.ada, "GET", "/bookings/"+w.booking.ID, nil, "")
		got.socket = dialled(w.messageSocket())
		var uri string
		got.exchange, uri = w.exchange()
		got.upgrade = dialled(w.dial(uri, nil, ""))
		w.is(got, want)
		w.fares(since, want)
		for what, answered := range waiting {
			select {
			case status := <-answered:
				t.Errorf("%s was answered with %d before it could be written", what, status)
			default:
			}
		}
		close(release)
		holder.Wait()
		for what, status := range map[string]int{"ending a session": want.revoke, "sign-in": want.signIn, "lookup": want.lookup} {
			if got := <-waiting[what]; got != status {
				t.Errorf("%s once the lock was gone: %d, want %d", what, got, status)
			}
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
		since, want := time.Now(), promised(t, "Clock ahead or back")
		_, w.ticket = w.exchange()
		got, _ := w.probe()
		w.is(got, want)
		w.fares(since, want)
		_, w.ticket = w.exchange()
		w.clock.add(2 * time.Minute)
		since = time.Now()
		w.data.ends(since, faultPoll+faultSlack, 4401)
		if status, _ := w.exchange(); status != http.StatusUnauthorized {
			t.Errorf("after the booking: %d", status)
		}
		if _, status := w.dial(w.ticket, nil, ""); status != http.StatusUnauthorized {
			t.Errorf("upgrade after the booking: %d", status)
		}
		if status, _ := w.signIn(w.client(), "soren"); status != http.StatusOK {
			t.Errorf("sign-in: %d", status)
		}
		if status, _ := w.lookUp(); status != http.StatusOK {
			t.Errorf("lookup: %d", status)
		}
		w.messages.stays()
		if status, _ := w.do(w.ada, "GET", "/auth/verify", nil, ""); status != http.StatusOK {
			t.Errorf("the login: %d", status)
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
