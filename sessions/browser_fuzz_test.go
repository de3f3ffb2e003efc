package sessions_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

// FuzzSec38_Cookie: whatever stands in the Cookie header, a request goes on, and
// nobody is signed in by anything but the whole code.
func FuzzSec38_Cookie(f *testing.F) {
	p := newPage(sessions.Options{})
	code, _ := p.create(f, sessions.New{Kind: sessions.Login, Person: "p1"})
	for _, header := range []string{
		"", cookieName + "=", cookieName + "=" + code[:20], cookieName + "=" + code + "A", cookieName + "=lodge_log_" + strings.Repeat("A", 43),
		"a=b; " + cookieName + "=\"x\"; " + cookieName + "=y", cookieName + "=%00\xff", "=;;=;" + cookieName, strings.ToLower(cookieName) + "=" + code[:50],
	} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if strings.Contains(header, code) {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{header}
		w := httptest.NewRecorder()
		asked := false
		p.browser.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked = true
			s, err := p.browser.Current(r.Context())
			if lodge.CodeOf(err) != lodge.CodeUnauthenticated || s.ID != "" {
				t.Errorf("%q: %+v, %v, want 401", header, s, err)
			}
		})).ServeHTTP(w, r)
		if !asked || w.Code != http.StatusOK {
			t.Errorf("%q: the request was not let on: %d", header, w.Code)
		}
	})
}
