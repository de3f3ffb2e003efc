package gateway

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// asVerify brings the ways in which proxies ask into the one that is answered:
// GET verifyPath under a host name of ours.
//
// Envoy's ext_authz sends the method of the request it asks about, and its path
// and query behind a prefix (extensions.filters.http.ext_authz.v3.HttpService,
// path_prefix). Neither is a request to us: what would be done is somebody
// else's, nothing is done here, and so the rule that keeps other sites from doing
// things with our cookies has no part in it.
//
// Traefik's ForwardAuth asks with GET under the host name of its own
// configuration and names the one people use in X-Forwarded-Host (its reference,
// "Forward-Request Headers"). That counts from a listed proxy alone, and never
// against a Host that is ours: it would choose the tenant.
func (g *Gateway) asVerify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != verifyPath && !strings.HasPrefix(r.URL.Path, verifyPath+"/") {
			next.ServeHTTP(w, r)
			return
		}
		host := g.verifyHost(r)
		if r.URL.Path == verifyPath && r.Method == http.MethodGet && host == r.Host {
			next.ServeHTTP(w, r)
			return
		}
		asked := *r // its headers are shared, as they are with any copy that WithContext makes
		asked.Method, asked.Host = http.MethodGet, host
		asked.URL = &url.URL{Path: verifyPath}
		asked.Body, asked.ContentLength = http.NoBody, 0
		next.ServeHTTP(w, &asked)
	})
}

// verifyHost is the host name a proxy asks about.
func (g *Gateway) verifyHost(r *http.Request) string {
	if _, ours := g.cfg.Hosts[strings.ToLower(r.Host)]; ours {
		return r.Host
	}
	forwarded := r.Header.Values("X-Forwarded-Host")
	if len(forwarded) != 1 || !g.fromProxy(r) {
		return r.Host
	}
	if _, ours := g.cfg.Hosts[strings.ToLower(forwarded[0])]; !ours {
		return r.Host
	}
	return strings.ToLower(forwarded[0])
}

// fromProxy reports whether a listed proxy made the connection.
func (g *Gateway) fromProxy(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return err == nil && g.trusted(host)
}
