package idp

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a lodge.Clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const (
	redirect = "https://lodge.example/callback/dev"
	goodbye  = "https://lodge.example/"
)

// world is a relying party and one issuer that can misbehave.
type world struct {
	*testing.T
	clock  *clock
	issuer string
	roots  *x509.CertPool
	cfg    IssuerConfig
	rp     *RelyingParty
}

// newWorld starts an issuer with these faults, over https on a loopback address,
// and a relying party that may go there.
func newWorld(t *testing.T, faults idptest.Faults, adjust ...func(*IssuerConfig, *idptest.Client)) *world {
	t.Helper()
	w := &world{T: t, clock: newClock()}
	var handler http.Handler
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are part of the tests
	server.StartTLS()
	t.Cleanup(server.Close)
	w.issuer = server.URL
	w.roots = x509.NewCertPool()
	w.roots.AddCert(server.Certificate())
	client := idptest.Client{
		ID: "lodge", Secret: "s3cret & more", RedirectURIs: []string{redirect}, PostLogoutURIs: []string{goodbye},
	}
	w.cfg = IssuerConfig{ID: "dev", Name: "Example University", URL: server.URL, ClientID: "lodge", ClientSecret: client.Secret, Private: true}
	for _, f := range adjust {
		f(&w.cfg, &client)
	}
	var err error
	handler, err = idptest.New(idptest.Config{
		Issuer: server.URL, Accounts: idptest.DemoAccounts(), Clients: []idptest.Client{client}, Clock: w.clock, Faults: faults,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.rp = w.party(Options{})
	return w
}

func (w *world) party(opts Options) *RelyingParty {
	w.Helper()
	opts.RootCAs = w.roots
	rp, err := New([]IssuerConfig{w.cfg}, w.clock, opts)
	if err != nil {
		w.Fatal(err)
	}
	return rp
}

// browse opens an address as a browser would and returns where it is sent.
func (w *world) browse(location string) *url.URL {
	w.Helper()
	browser := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     w.transport(),
	}
	resp, err := browser.Get(location)
	if err != nil {
		w.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		w.Fatal(err)
	}
	to, err := resp.Location()
	if err != nil {
		w.Fatalf("GET %s: status %d and no redirect", location, resp.StatusCode)
	}
	return to
}

func (w *world) transport() http.RoundTripper {
	return newClient(w.cfg, Options{RootCAs: w.roots, Timeout: 10 * time.Second, MaxAnswer: maxBody}).Transport
}

// begin starts a sign-in of ada and returns what her browser comes back with.
func (w *world) begin() (Flow, url.Values) {
	w.Helper()
	location, flow, err := w.rp.Start(w.Context(), "dev", StartOptions{RedirectURI: redirect, ReturnTo: "/bookings", LoginHint: "ada"})
	if err != nil {
		w.Fatal(err)
	}
	return flow, w.browse(location).Query()
}

// signIn does a whole sign-in of ada.
func (w *world) signIn() (Identity, error) {
	w.Helper()
	flow, query := w.begin()
	return w.rp.Finish(w.Context(), "dev", flow, query, redirect)
}

// wantRefused checks an error's code, that its safe message tells what to do and
// that neither it nor its cause gives a secret away.
func wantRefused(t *testing.T, err error, code lodge.Code, secrets ...string) {
	t.Helper()
	if got := lodge.CodeOf(err); got != code {
		t.Fatalf("error %v has code %q, want %q", err, got, code)
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(err.Error(), s) {
			t.Errorf("error %q holds the secret %q", err, s)
		}
	}
	if !strings.Contains(strings.ToLower(err.Error()), "try again") && !strings.Contains(err.Error(), "sign in again") &&
		!strings.Contains(err.Error(), "Choose") && !strings.Contains(err.Error(), "administrator") {
		t.Errorf("error %q does not say what to do", err)
	}
}
