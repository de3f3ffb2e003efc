package redis

import (
	"context"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// A caller's deadline counts, whatever a server that hangs makes the client do:
// wait for a reply, or for a new connection to be trusted.
func TestRel09_DeadlineOfACallerCounts(t *testing.T) {
	proxy := faultproxy.Start(t, redistest.Start(t).Addr())
	st := NewSessions(open(t, Config{Addrs: []string{proxy.Addr()}, Journal: sessionstest.NewMemory().Journal()}))
	s, _ := session(t, st, "a")
	proxy.Hang()
	for i := range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		_, err := st.Get(ctx, "t1", []sessions.ID{s.ID})
		took := time.Since(began)
		cancel()
		if err == nil || took > time.Second {
			t.Errorf("read %d: %v after %v", i, err, took)
		}
	}
}
