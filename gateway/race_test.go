package gateway_test

import (
	"context"
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

// TestSec06_NoConnectionSurvivesARevocationRacedWithIt opens message sockets while
// their sessions are revoked: each is refused, or closed with the reason, and none
// lives on. With LODGE_SOAK it does so 100,000 times.
func TestSec06_NoConnectionSurvivesARevocationRacedWithIt(t *testing.T) {
	races := 300
	if os.Getenv("LODGE_SOAK") != "" {
		races = 100_000
	}
	l := newLab(t)
	var refused, closed, survived atomic.Int64
	var wg sync.WaitGroup
	lanes := make(chan struct{}, 32) // so that the journal can group its commits
	for i := range races {
		lanes <- struct{}{}
		wg.Go(func() {
			defer func() { <-lanes }()
			code, s, err := l.sessions.Create(t.Context(), sessions.New{
				Tenant: lodge.DefaultTenant, Kind: sessions.Login, Person: lodge.PersonID(fmt.Sprint("racer", i)), Name: "Racer",
				Groups: []string{"everyone"}, ExpiresAt: l.clock.Now().Add(time.Hour),
			})
			if err != nil {
				t.Error(err)
				return
			}
			revoked := make(chan error, 1)
			go func() {
				revoked <- l.sessions.Revoke(context.Background(), lodge.DefaultTenant, s.ID, "The race is over.")
			}()
			// A head start for the revocation, of another length each time.
			for range i % 4 {
				if res, err := http.Get(l.url + "/healthz"); err == nil {
					_ = res.Body.Close()
				}
			}
			conn := l.dialLogin(code)
			if err := <-revoked; err != nil {
				t.Error(err)
			}
			switch {
			case conn == nil:
				refused.Add(1)
			case endsWith(conn, 4403):
				closed.Add(1)
			default:
				survived.Add(1)
			}
		})
	}
	wg.Wait()
	http.DefaultClient.CloseIdleConnections()
	t.Logf("%d refused, %d closed, %d survived", refused.Load(), closed.Load(), survived.Load())
	if survived.Load() > 0 {
		t.Errorf("%d of %d connections survived the revocation of their session", survived.Load(), races)
	}
	if refused.Load() == 0 || closed.Load() == 0 {
		t.Error("the revocations always came first, or always last: nothing was raced")
	}
}

// dialLogin opens the message socket of a login's code; nil when it is refused.
func (l *lab) dialLogin(code string) *websocket.Conn {
	ctx, cancel := context.WithTimeout(l.Context(), deadline)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(l.url, "http")+"/api/v1/messages/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Cookie": {"lodge-dev=" + code}, "Origin": {l.url}},
	})
	if err == nil {
		return conn
	}
	if res == nil || res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusForbidden {
		l.Errorf("neither opened nor refused: %v", err)
	}
	return nil
}

// endsWith reads a socket to its end and reports whether the server closed it with
// a code, in time.
func endsWith(conn *websocket.Conn, code websocket.StatusCode) bool {
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return websocket.CloseStatus(err) == code
		}
	}
}
