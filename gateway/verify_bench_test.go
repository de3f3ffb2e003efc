package gateway

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// verifyBench returns a gateway's answer to verifyPath, on a store in memory, and
// a request that is let through.
func verifyBench(tb testing.TB, keep time.Duration) (http.Handler, *http.Request) {
	tb.Helper()
	store := sessionstest.NewMemory()
	log := slog.New(slog.DiscardHandler)
	manager := sessions.NewManager(store, store.Journal(), sessions.NewLocalSignals(), lodge.SystemClock{}, sessions.Options{Keep: keep, Logger: log})
	g := &Gateway{
		cfg:   Config{PublicURL: "https://lab.example.org", Hosts: map[string]lodge.Tenant{"lab.example.org": lodge.DefaultTenant}},
		clock: lodge.SystemClock{}, log: log, sessions: manager, identities: newIdentities(),
	}
	code, _, err := manager.Create(tb.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Login, Person: "p1", Name: "Ada Lovelace", Groups: []string{"everyone", "physics-1"},
		Bindings: []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:physics-1"}}, ExpiresAt: time.Now().Add(time.Hour), IdleAfter: time.Hour,
	})
	if err != nil {
		tb.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, verifyPath, nil)
	r.Host = "lab.example.org"
	r.Header.Set("Cookie", "theme=dark; __Host-lodge="+code)
	return g.forwardAuth(http.NotFoundHandler()), r
}

// answer is a ResponseWriter that costs nothing of its own.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }
func (a *answer) WriteHeader(status int)      { a.status = status }

func BenchmarkVerify(b *testing.B) {
	for name, keep := range map[string]time.Duration{"reads": 0, "cache": 5 * time.Second} {
		b.Run(name, func(b *testing.B) {
			handler, r := verifyBench(b, keep)
			a := &answer{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(a.header)
				handler.ServeHTTP(a, r)
			}
			if a.status != http.StatusOK {
				b.Fatal(a.status)
			}
		})
	}
}
