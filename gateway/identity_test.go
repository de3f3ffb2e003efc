package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// idClock is a lodge.Clock that a test moves.
type idClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *idClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *idClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// idWorld is a gateway, with the sample laboratory, and an issuer that can
// misbehave, each on a port of its own.
type idWorld struct {
	*testing.T
	url      string // the gateway's
	clock    *idClock
	issuer   *httptest.Server
	provider *idptest.Issuer
	persons  *sqlite.Persons
	sessions *sessions.Manager
	desk     *booking.Desk
	trail    *audit.Trail
}

// idOptions adjust an idWorld before it starts.
type idOptions struct {
	issuer   func(*idp.IssuerConfig)
	provider func(*idptest.Config)
	more     func(gateway string) []idp.IssuerConfig // further issuers, for a gateway at that origin
	limits   idp.Options                             // a zero Timeout: 10 s
	cap      int                                     // logins a person may have at once; 0: any number
}

func newIDWorld(t *testing.T, opts idOptions) *idWorld {
	t.Helper()
	w := &idWorld{T: t, clock: &idClock{now: time.Now().UTC()}}
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "lodge.db"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	logs := sqlite.NewLog(db)
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	topics, err := messaging.NewTopics(logs, messaging.Keyring{Names: key(1), Seals: map[string][]byte{"1": key(2)}, Current: "1"}, messaging.TopicsOptions{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	desk, err := booking.NewDesk(sqlite.NewBookings(db), booking.Keys{PepperID: "1", Pepper: key(3), Seal: key(4)}, w.clock, booking.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	catalogue, _, err := booking.ReadManifest(bytes.NewReader(samples.Lodge), "lodge.yaml", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := desk.Apply(t.Context(), lodge.DefaultTenant, catalogue); err != nil {
		t.Fatal(err)
	}
	w.sessions = sessions.NewManager(sqlite.NewSessions(db), sqlite.NewJournal(db), sessions.NewLocalSignals(), w.clock, sessions.Options{Logger: log, LoginCap: opts.cap})
	w.persons, w.desk = sqlite.NewPersons(db), desk

	var handler http.Handler
	w.issuer = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.provider.ServeHTTP(rw, r) }))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	w.url = server.URL

	issuerConfig := idp.IssuerConfig{ID: "dev", Name: "Development", URL: w.issuer.URL, ClientID: "lodge", Insecure: true}
	providerConfig := idptest.Config{
		Issuer: w.issuer.URL, Accounts: idptest.DemoAccounts(), Clock: w.clock,
		Clients: []idptest.Client{{ID: "lodge", RedirectURIs: []string{w.url + "/callback/dev"}, PostLogoutURIs: []string{w.url + "/signed-out"}, BackchannelURI: w.url + "/backchannel-logout/dev"}},
	}
	if opts.issuer != nil {
		opts.issuer(&issuerConfig)
	}
	if opts.provider != nil {
		opts.provider(&providerConfig)
	}
	if w.provider, err = idptest.New(providerConfig); err != nil {
		t.Fatal(err)
	}
	configs := []idp.IssuerConfig{issuerConfig}
	if opts.more != nil {
		configs = append(configs, opts.more(w.url)...)
	}
	opts.limits.Timeout = cmp.Or(opts.limits.Timeout, 10*time.Second)
	issuers, err := idp.New(configs, w.clock, opts.limits)
	if err != nil {
		t.Fatal(err)
	}
	grants, err := idp.NewGrants(w.persons, key(5))
	if err != nil {
		t.Fatal(err)
	}
	if w.trail, err = audit.Open(t.Context(), sqlite.NewAudit(db), key(6), filepath.Join(t.TempDir(), "audit.head"), audit.Rule{}, w.clock, log); err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{PublicURL: w.url, AssetsURL: "http://localhost:1", RefreshPoll: 5 * time.Millisecond}, gateway.Parts{
		Clock: w.clock, Sessions: w.sessions, IdP: issuers, Persons: w.persons, Logouts: w.persons, Grants: grants, Desk: desk, Topics: topics, Log: log, PersonKeys: personKeys(t, db),
		Audit: w.trail,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = g.Handler()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		server.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		w.issuer.Close()
		if err := w.trail.Close(); err != nil {
			t.Error(err)
		}
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// idBrowser is somebody's browser.
type idBrowser struct {
	*idWorld
	client http.Client
}

// browser returns a new browser, which follows no redirect by itself.
func (w *idWorld) browser() *idBrowser {
	w.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	return &idBrowser{w, http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signedIn returns a browser in which an account has signed in.
func (w *idWorld) signedIn(account string) *idBrowser {
	w.Helper()
	b := w.browser()
	location := w.url + "/login/dev?login_hint=" + account
	for range 3 {
		res, _ := b.do("GET", location, nil)
		to, err := res.Location()
		if err != nil {
			w.Fatalf("GET %s: status %d and no redirect", location, res.StatusCode)
		}
		location = to.String()
	}
	if status := b.status("/api/v1/me"); status != http.StatusOK {
		w.Fatalf("%s is not signed in: %d at %s", account, status, location)
	}
	return b
}

// do sends a request, with a form when there is one, and returns the answer with
// its body read.
func (b *idBrowser) do(method, address string, form url.Values) (*http.Response, []byte) {
	b.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.url + address
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.Context(), method, address, body)
	if err != nil {
		b.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		b.Fatal(err)
	}
	return res, read
}

func (b *idBrowser) status(path string) int {
	b.Helper()
	res, _ := b.do("GET", path, nil)
	return res.StatusCode
}

// idGet reads a JSON document.
func idGet[T any](b *idBrowser, path string) (v T) {
	b.Helper()
	res, body := b.do("GET", path, nil)
	if res.StatusCode != http.StatusOK {
		b.Fatalf("GET %s: %d %s", path, res.StatusCode, body)
	}
	if err := json.Unmarshal(body, &v); err != nil {
		b.Fatalf("GET %s: %v", path, err)
	}
	return v
}

// personID returns the id that an account has in Lodge.
func (w *idWorld) personID(account string) lodge.PersonID {
	w.Helper()
	p, err := w.persons.Find(w.Context(), lodge.DefaultTenant, "dev", account)
	if err != nil {
		w.Fatal(err)
	}
	return p.ID
}
