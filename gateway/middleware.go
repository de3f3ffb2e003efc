package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/forwarded"
)

type contextKey int

const (
	keyTenant contextKey = iota
	keyRequestID
	keyAddress
	keyRefusal // why forwardAuth let nobody through
)

func tenantOf(ctx context.Context) lodge.Tenant {
	t, _ := ctx.Value(keyTenant).(lodge.Tenant)
	return t
}

func addressOf(ctx context.Context) string {
	a, _ := ctx.Value(keyAddress).(string)
	return a
}

// identify gives every request an id of our own, finds the address it came from
// and the tenant its Host names. A Host that is not ours is refused before
// anything is read: it would otherwise choose links, cookies and tenant (and
// let a rebound DNS name talk to a demo on loopback).
func (g *Gateway) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stripIdentity(r.Header)
		ctx := context.WithValue(r.Context(), keyRequestID, rand.Text())
		ctx = context.WithValue(ctx, keyAddress, g.clientAddress(r))
		tenant, known := g.cfg.Hosts[strings.ToLower(r.Host)]
		// Probes ask for a node's health by its address.
		if known && !g.servedAt(r) || !known && r.URL.Path != "/healthz" {
			g.problem(w, r, failure{
				status: http.StatusMisdirectedRequest, code: lodge.CodeInvalid,
				detail: "This server does not answer for that host name; use the address the laboratory gave you.",
			})
			return
		}
		ctx = context.WithValue(ctx, keyTenant, tenant)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// stripIdentity removes the headers by which /auth/verify speaks to others, so
// that nobody can send them in. Underscores count as hyphens to some servers.
func stripIdentity(h http.Header) {
	for name := range h {
		if strings.HasPrefix(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "x-lodge-") {
			delete(h, name)
		}
	}
}

// clientAddress is the rightmost address that is not a listed proxy; forwarded
// headers count only when the connection itself comes from one.
func (g *Gateway) clientAddress(r *http.Request) string {
	return forwarded.Address(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), g.cfg.TrustedProxies)
}

func (g *Gateway) trusted(address string) bool {
	return forwarded.Listed(address, g.cfg.TrustedProxies)
}

// shownPath is a request's path as logs and the audit trail have it: a join link
// holds its code.
func shownPath(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, joinPath) {
		return joinPath + "…"
	}
	return r.URL.Path
}

// observe logs each request once, without its query (which may hold a ticket),
// and turns a panic into a 500 instead of a dropped connection.
func (g *Gateway) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				g.log.ErrorContext(r.Context(), "panic", "path", shownPath(r), "panic", p, "stack", string(debug.Stack()))
				if ww.Status() == 0 {
					g.problem(ww, r, explain(errors.New("panic")))
				}
			}
			if r.URL.Path == ballotsPath {
				return // not even that there was one: see castBallot
			}
			g.measured(r, ww.Status(), time.Since(start))
			level := slog.LevelDebug
			if ww.Status() >= 500 {
				level = slog.LevelWarn
			}
			id, _ := r.Context().Value(keyRequestID).(string)
			g.log.LogAttrs(r.Context(), level, "request", slog.String("id", id), slog.String("method", r.Method),
				slog.String("path", shownPath(r)), slog.Int("status", ww.Status()), slog.Duration("took", time.Since(start)))
		}()
		next.ServeHTTP(ww, r)
	})
}

// protect sets the headers every answer carries (security rules on HSTS, CSP,
// framing, sniffing, referrers).
func (g *Gateway) protect(next http.Handler) http.Handler {
	ws := "ws" + strings.TrimPrefix(g.cfg.PublicURL, "http")
	csp := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; font-src 'self'; manifest-src 'self'; " +
		"connect-src 'self' " + ws + "; frame-src " + g.cfg.AssetsURL + "; frame-ancestors 'none'; object-src 'none'; base-uri 'none'; form-action "
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp+g.formTargets())
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		if strings.HasPrefix(g.cfg.PublicURL, "https:") {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// noDocument takes off modules and stylesheets what browsers heed on documents alone:
// a page has a dozen of them, and these headers are longer than some.
func noDocument(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind := path.Ext(r.URL.Path); kind == ".js" || kind == ".css" {
			for _, name := range []string{"Content-Security-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy"} {
				w.Header().Del(name)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// cors answers the pages of experiment UIs, which live on other origins and
// present a code: an exact list of origins, no credentials, nothing reflected
// that is not on the list.
func (g *Gateway) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" && g.uiOrigins[origin] {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", origin)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key")
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
