package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// byTheBook is soleCookie by net/http's parser alone.
func byTheBook(r *http.Request, name string) string {
	value := ""
	for i, c := range r.CookiesNamed(name) {
		if i > 0 && c.Value != value {
			return ""
		}
		value = c.Value
	}
	return value
}

// The short way to a cookie finds what net/http finds, but for a value of bytes
// that no cookie may have, which it leaves to its reader to refuse.
func TestSec38_SoleCookieIsTheOneNetHTTPFinds(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"id=a", "id=b", "id=\"a\"", " id = a ", "id", "id=", "idx=a", "x=id=a", "=a", "", " ", "id=a=b", "ID=a", "\tid=a", "id=a b", "id=a,b"}),
		rapid.StringMatching(`[id=; "a]{0,8}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		r := &http.Request{Header: http.Header{}}
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			r.Header.Add("Cookie", strings.Join(rapid.SliceOfN(piece, 0, 4).Draw(t, "pieces"), ";"))
		}
		got, want := soleCookie(r, "id"), byTheBook(r, "id")
		if got != want && (want != "" || validCookieValue(got)) {
			t.Fatalf("%q: %q, net/http finds %q", r.Header["Cookie"], got, want)
		}
	})
}

// validCookieValue is what net/http's parser lets through as a value.
func validCookieValue(v string) bool {
	return !strings.ContainsFunc(v, func(b rune) bool { return b < 0x20 || b >= 0x7f || b == '"' || b == ';' || b == '\\' })
}

// A check is made with each request of every other service: it must not come to
// make what it does not need.
func TestVerifyMakesLittle(t *testing.T) {
	for name, c := range map[string]struct {
		keep time.Duration
		most float64
	}{"reads": {0, 15}, "cache": {5 * time.Second, 3}} {
		handler, r := verifyBench(t, c.keep)
		a := &answer{header: http.Header{}}
		got := testing.AllocsPerRun(200, func() {
			clear(a.header)
			handler.ServeHTTP(a, r)
		})
		if a.status != http.StatusOK || got > c.most {
			t.Errorf("%s: status %d, %.0f allocations, want at most %.0f", name, a.status, got, c.most)
		}
	}
}
