package gateway

import (
	"context"
	"log/slog"
	"net/http"
)

// verifyPath is asked by a proxy before each request that it lets through, so it
// is answered by a way of its own.
const verifyPath = "/auth/verify"

// forwardAuth answers verifyPath on a short way when the session is good: past
// the router, and without the headers that concern pages. Everything else goes
// on to next, with what was found out: refusals are explained, logged and
// protected there as all others.
func (g *Gateway) forwardAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != verifyPath || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		tenant, known := g.cfg.Hosts[r.Host]
		if !known {
			next.ServeHTTP(w, r)
			return
		}
		s, err := g.letThrough(r, tenant)
		if err != nil {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyRefusal, err)))
			return
		}
		g.admit(w, s)
		if ctx := r.Context(); g.log.Enabled(ctx, slog.LevelDebug) {
			g.log.LogAttrs(ctx, slog.LevelDebug, "request", slog.String("method", r.Method), slog.String("path", verifyPath), slog.Int("status", http.StatusOK))
		}
	})
}

// verify is the forward-auth answer for nginx auth_request, Traefik, Caddy and
// Envoy: 200 and who it is, 401, or 503 when nobody can tell.
func (g *Gateway) verify(w http.ResponseWriter, r *http.Request) error {
	if refusal, ok := r.Context().Value(keyRefusal).(error); ok {
		return refusal
	}
	s, err := g.letThrough(r, tenantOf(r.Context()))
	if err != nil {
		return err
	}
	g.admit(w, s)
	return nil
}
