package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
)

// What a code is sent with comes off, and nothing else does.
func FuzzBearer(f *testing.F) {
	for _, value := range []string{"", "code", "Bearer code", "bearer  code ", "Bearer", "Basic dXNlcg==", "Bearer Bearer x", " \tcode", "Bearer\tcode"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := &http.Request{Header: http.Header{"Authorization": {value}}}
		code := bearer(r)
		if !strings.Contains(value, code) || code != strings.TrimSpace(code) {
			t.Fatalf("%q out of %q", code, value)
		}
		if rest, found := strings.CutPrefix(value, "Bearer "); found && strings.TrimSpace(rest) != "" && code != strings.TrimSpace(rest) {
			t.Fatalf("%q out of %q", code, value)
		}
	})
}

func TestIdentityHeadersAreStripped(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{"X-Lodge-Subject", "X_Lodge_Subject", "x-lodge-roles", "X-Lodge_Name", "X_LODGE-TENANT"} {
		h[name] = []string{"forged"}
	}
	h.Set("X-Lodger", "kept")
	h.Set("Authorization", "kept")
	if stripIdentity(h); len(h) != 2 {
		t.Errorf("left: %v", h)
	}
}

func TestClientAddress(t *testing.T) {
	g := &Gateway{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"203.0.113.9:1", nil, "203.0.113.9"},
		{"203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"192.0.2.1, 198.51.100.1, 10.0.0.7"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"192.0.2.1", "198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"10.0.0.2, 10.0.0.3"}, "10.0.0.2"},
		{"10.0.0.1:1", []string{"198.51.100.1, nonsense"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"[::ffff:10.0.0.1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"@", []string{"198.51.100.1"}, "@"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := g.clientAddress(r); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

// still is a clock that a test sets.
type still struct{ at time.Time }

func (s *still) Now() time.Time { return s.at }

// The table of rates stays bounded, and what is forgotten gives at most a burst
// back.
func TestRatesAreBounded(t *testing.T) {
	clock := &still{time.Unix(1_000_000, 0)}
	r := newRates(clock, 2, "Wait a little.")
	use := func(who string) error { return r.allow("t", who) }
	for range 2 {
		if err := use("a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := use("a"); lodge.CodeOf(err) != lodge.CodeTooMany {
		t.Errorf("the third at once: %v", err)
	}
	if err := r.allow("other", "a"); err != nil {
		t.Errorf("another tenant's: %v", err)
	}
	clock.at = clock.at.Add(30 * time.Second)
	if err := use("a"); err != nil {
		t.Errorf("half a minute later: %v", err)
	}
	for i := range maxRates + 1000 {
		if err := use("x" + time.Duration(i).String()); err != nil {
			t.Fatal(err)
		}
		if len(r.buckets) > maxRates {
			t.Fatalf("%d entries", len(r.buckets))
		}
	}
}

// Tickets are single use, run out, stay with their tenant, and leave nothing.
func TestTickets(t *testing.T) {
	clock := &still{time.Unix(1_000_000, 0)}
	tk := newTickets(clock)
	issue := func() string {
		t.Helper()
		code, err := tk.issue("t", "session-1")
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	first := issue()
	if _, ok := tk.spend("other", first); ok {
		t.Error("spent in another tenant")
	}
	if _, ok := tk.spend("t", first); ok {
		t.Error("spent after an attempt elsewhere")
	}
	second := issue()
	if s, ok := tk.spend("t", second); !ok || s != "session-1" {
		t.Errorf("%q %v", s, ok)
	}
	third := issue()
	clock.at = clock.at.Add(ticketLife)
	if _, ok := tk.spend("t", third); ok {
		t.Error("spent when it had run out")
	}
	for range perSession {
		issue()
	}
	if _, err := tk.issue("t", "session-1"); lodge.CodeOf(err) != lodge.CodeTooMany {
		t.Errorf("one more than a session may hold: %v", err)
	}
	if _, err := tk.issue("t", "session-2"); err != nil {
		t.Errorf("another session's: %v", err)
	}
	clock.at = clock.at.Add(ticketLife)
	issue()
	if len(tk.waiting) != 1 || len(tk.oldest) != 1 || len(tk.holding) != 1 {
		t.Errorf("left: %d, %d, %d", len(tk.waiting), len(tk.oldest), len(tk.holding))
	}
}

// A configuration is refused with all its faults at once, and origins are brought
// into the form that browsers send.
func TestConfig(t *testing.T) {
	bad := Config{PublicURL: "lab.example", AssetsURL: "https://user:secret@ui.example", UIOrigins: []string{"https://a.example/path", "null", "*"}, LoginLife: 25 * time.Hour}
	err := bad.complete()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"public_url", "assets_url", "ui_origins", "login_life"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not mentioned: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("a secret is repeated: %v", err)
	}
	same := Config{PublicURL: "https://lab.example", AssetsURL: "https://lab.example:8443"}
	if err := same.complete(); err == nil || !strings.Contains(err.Error(), "host name") {
		t.Errorf("experiment pages on another port alone: %v", err)
	}
	good := Config{PublicURL: "HTTPS://Lab.Example/", AssetsURL: "https://ui.example", UIOrigins: []string{"https://Other.example/"}}
	if err := good.complete(); err != nil || good.PublicURL != "https://lab.example" || good.UIOrigins[0] != "https://other.example" || good.Hosts["lab.example"] != lodge.DefaultTenant {
		t.Errorf("%+v: %v", good, err)
	}
}
