package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// raceLimit is how long after the revocation was answered a connection that got
// in may live. With the poll out of reach, only its having registered before it
// read can end it.
const raceLimit = 15 * time.Second

// Connects are raced against revocations of their very sessions, half at the
// relay and half at the message socket: each is refused, or closed with the
// reason. 400 of them; 100,000 with LODGE_SOAK.
func TestRel05_ConnectsRacedWithRevocationsLeaveNoSurvivor(t *testing.T) {
	total := 400
	if os.Getenv("LODGE_SOAK") != "" {
		total = 100_000
	}
	w := newFaultWorldWith(t, false, time.Minute, 5*time.Minute)
	var refused, closed, survivors atomic.Int64
	began := time.Now()
	var all sync.WaitGroup
	slots := make(chan struct{}, 64)
	for i := range total {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			prepare := w.raceStream
			if i%2 == 1 {
				prepare = w.raceMessages
			}
			connect, s, err := prepare(i)
			if err != nil {
				t.Error(err)
				return
			}
			switch in, out := w.race(connect, s); {
			case !in:
				refused.Add(1)
			case out:
				closed.Add(1)
			default:
				survivors.Add(1)
			}
		})
	}
	all.Wait()
	t.Logf("%d races in %v: %d refused, %d closed, %d survivors", total, time.Since(began).Round(time.Millisecond), refused.Load(), closed.Load(), survivors.Load())
	if survivors.Load() > 0 {
		t.Errorf("%d connections of revoked sessions survive", survivors.Load())
	}
	if closed.Load() == 0 || refused.Load() == 0 {
		t.Error("no race was close: one side always won")
	}
}

// race connects and revokes at once. It returns whether the connection got in,
// and whether it was closed for what it was.
func (w *faultWorld) race(connect func(context.Context) (*websocket.Conn, *http.Response, error), s sessions.Session) (in, out bool) {
	ctx, cancel := context.WithTimeout(context.Background(), raceLimit)
	defer cancel()
	var revoking sync.WaitGroup
	revoking.Go(func() {
		if err := w.sessions.Revoke(context.Background(), s.Tenant, s.ID, "Ended by root."); err != nil {
			w.Error(err)
		}
	})
	conn, res, err := connect(ctx)
	revoking.Wait()
	if err != nil {
		if res == nil || res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusUnauthorized {
			w.Errorf("refused with %v, %v", res, err)
		}
		return false, false
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			closed, ok := errors.AsType[websocket.CloseError](err)
			return true, ok && closed.Code == 4403
		}
	}
}

// raceStream makes an experiment's session and returns how to open its stream.
func (w *faultWorld) raceStream(i int) (func(context.Context) (*websocket.Conn, *http.Response, error), sessions.Session, error) {
	const topic = "pend00-data"
	code, s, err := w.sessions.Create(w.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Experiment, Person: lodge.PersonID(fmt.Sprint("racer-", i)), Booking: w.booking.ID,
		Experiment: "pend00", Scopes: []string{"read:" + topic}, ExpiresAt: w.clock.Now().Add(time.Hour),
	})
	if err != nil {
		return nil, s, err
	}
	status, uri := w.exchangeWith(w.ada, w.url+"/session/"+topic, code)
	if status != http.StatusOK {
		return nil, s, fmt.Errorf("exchange: %d", status)
	}
	return func(ctx context.Context) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(ctx, uri, nil)
	}, s, nil
}

// raceMessages makes a login and returns how to open its message socket.
func (w *faultWorld) raceMessages(i int) (func(context.Context) (*websocket.Conn, *http.Response, error), sessions.Session, error) {
	code, s, err := w.sessions.Create(w.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Login, Person: lodge.PersonID(fmt.Sprint("racer-", i)), ExpiresAt: w.clock.Now().Add(time.Hour),
	})
	if err != nil {
		return nil, s, err
	}
	header := http.Header{"Origin": {w.url}, "Cookie": {"lodge-dev=" + code}}
	return func(ctx context.Context) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(ctx, "ws"+strings.TrimPrefix(w.url, "http")+"/api/v1/messages/ws", &websocket.DialOptions{HTTPHeader: header})
	}, s, nil
}
