package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/internal/storage/redis"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	faultPoll  = 300 * time.Millisecond
	faultGrace = 3 * time.Second
	// faultSlack is what a busy machine may add to a bound.
	faultSlack = 3 * time.Second
)

// faultWorld is a gateway whose stores can be made to fail, and Ada, who is
// signed in, has a booking, and has everything open that can be.
type faultWorld struct {
	*testing.T
	url       string
	clock     *idClock
	db        *sqlite.DB
	server    *redistest.Server   // nil with the embedded store
	proxy     *faultproxy.Proxy   // before the server
	failover  *redistest.Failover // set with Sentinel alone
	sessions  *sessions.Manager
	elsewhere *sessions.Manager // of another node, which reaches the store without the proxy; nil with the embedded store

	ada     *http.Client
	booking gateway.BookingView
	stream  gateway.StreamView
	ticket  string // an address for the stream that was not opened yet
	other   string // the id of another session of Ada's
	host    string // a host's code

	messages, data *liveSocket
}

func newFaultWorld(t *testing.T, onRedis bool) *faultWorld {
	t.Helper()
	return newFaultWorldWith(t, onRedis, faultPoll, faultGrace)
}

func newFaultWorldWith(t *testing.T, onRedis bool, poll, grace time.Duration) *faultWorld {
	t.Helper()
	if onRedis {
		return newFaultWorldOn(t, singleRedis, poll, grace)
	}
	return newFaultWorldOn(t, embedded, poll, grace)
}

// A faultStore is where the sessions of a faultWorld are.
type faultStore int

const (
	embedded faultStore = iota
	singleRedis
	sentinel
)

func newFaultWorldOn(t *testing.T, on faultStore, poll, grace time.Duration) *faultWorld {
	t.Helper()
	w := &faultWorld{T: t, clock: &idClock{now: time.Now().UTC()}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.db, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "lodge.db"))
	must(err)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	journal := sqlite.NewJournal(w.db)
	opts := sessions.Options{LeasePoll: poll, LeaseGrace: grace, Logger: log}
	closers := []func() error{w.db.Close}
	manager := func(c redis.Config) *sessions.Manager {
		c.Journal, c.Clock, c.Logger = journal, w.clock, log
		rdb, err := redis.Open(c)
		must(err)
		closers = append(closers, rdb.Close)
		return sessions.NewManager(redis.NewSessions(rdb), journal, redis.NewSignals(rdb), w.clock, opts)
	}
	switch on {
	case singleRedis:
		w.server = redistest.Start(t, "--maxmemory-policy", "noeviction")
		w.proxy = faultproxy.Start(t, w.server.Addr())
		w.sessions, w.elsewhere = manager(redis.Config{Addrs: []string{w.proxy.Addr()}}), manager(redis.Config{Addrs: []string{w.server.Addr()}})
	case sentinel:
		w.failover = redistest.StartSentinel(t, 3)
		c, err := redis.ParseURL(w.failover.URL())
		must(err)
		w.sessions = manager(c)
	default:
		w.sessions = sessions.NewManager(sqlite.NewSessions(w.db), journal, sessions.NewLocalSignals(), w.clock, opts)
	}
	logs := sqlite.NewLog(w.db)
	closers = append(closers, logs.Close)
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	topics, err := messaging.NewTopics(logs, messaging.Keyring{Names: key(1), Seals: map[string][]byte{"1": key(2)}, Current: "1"}, messaging.TopicsOptions{Logger: log})
	must(err)
	desk, err := booking.NewDesk(sqlite.NewBookings(w.db), booking.Keys{PepperID: "1", Pepper: key(3), Seal: key(4)}, w.clock, booking.Options{Logger: log})
	must(err)
	catalogue, _, err := booking.ReadManifest(bytes.NewReader(samples.Lodge), "lodge.yaml", false)
	must(err)
	must(desk.Apply(t.Context(), lodge.DefaultTenant, catalogue))

	var provider, handler http.Handler
	issuer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { provider.ServeHTTP(rw, r) }))
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	w.url = server.URL
	provider, err = idptest.New(idptest.Config{
		Issuer: issuer.URL, Accounts: idptest.DemoAccounts(), Clock: w.clock,
		Clients: []idptest.Client{{ID: "lodge", RedirectURIs: []string{w.url + "/callback/dev"}}},
	})
	must(err)
	issuers, err := idp.New([]idp.IssuerConfig{{ID: "dev", Name: "Development", URL: issuer.URL, ClientID: "lodge", Insecure: true}}, w.clock, idp.Options{Timeout: 10 * time.Second})
	must(err)
	g, err := gateway.New(gateway.Config{PublicURL: w.url, AssetsURL: "http://localhost:1", LeasePoll: poll, LeaseGrace: grace}, gateway.Parts{
		Clock: w.clock, Sessions: w.sessions, IdP: issuers, Persons: sqlite.NewPersons(w.db), Desk: desk, Topics: topics, Log: log, PersonKeys: personKeys(t, w.db),
	})
	must(err)
	handler = g.Handler()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		server.Close()
		cancel()
		if err := <-done; err != nil {
			t.Logf("Run: %v", err) // a store that was taken away may show here
		}
		issuer.Close()
		for i := len(closers) - 1; i >= 0; i-- {
			if err := closers[i](); err != nil {
				t.Logf("closing: %v", err)
			}
		}
	})
	w.open(g)
	return w
}

// open signs Ada in twice and opens everything.
func (w *faultWorld) open(g *gateway.Gateway) {
	w.Helper()
	code, err := g.CreateCode(w.Context(), lodge.DefaultTenant, gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	if err != nil {
		w.Fatal(err)
	}
	w.host = code.Code
	w.ada = w.client()
	elsewhere := w.client()
	for _, c := range []*http.Client{w.ada, elsewhere} {
		if status, body := w.signIn(c, "ada"); status != http.StatusOK {
			w.Fatalf("signing in: %d %s", status, body)
		}
	}
	w.decode(elsewhere, "GET", "/api/v1/me", nil, func(raw []byte) error {
		var me gateway.Me
		err := json.Unmarshal(raw, &me)
		w.other = me.Session.ID
		return err
	})
	w.decode(w.ada, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300}, func(raw []byte) error {
		return json.Unmarshal(raw, &w.booking)
	})
	w.decode(w.ada, "POST", "/api/v1/bookings/"+w.booking.ID+"/activity", nil, func(raw []byte) error {
		var a gateway.Activity
		err := json.Unmarshal(raw, &a)
		w.stream = a.Streams[0]
		return err
	})
	w.messages = w.live("message socket", w.messageSocket)
	w.data = w.live("stream", func() (*websocket.Conn, int) {
		_, uri := w.exchange()
		return w.dial(uri, nil, "")
	})
	_, w.ticket = w.exchange()
}

func (w *faultWorld) client() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	transport := &http.Transport{}
	w.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second}
}

// do makes a request; a status of 0 means that none came.
func (w *faultWorld) do(c *http.Client, method, path string, body any, code string) (int, []byte) {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			w.Error(err)
		}
		reader = bytes.NewReader(raw)
	}
	if strings.HasPrefix(path, "/") {
		path = w.url + path
	}
	req, err := http.NewRequest(method, path, reader)
	if err != nil {
		w.Error(err)
		return 0, nil
	}
	if code != "" {
		req.Header.Set("Authorization", code)
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.Error(err)
	}
	return res.StatusCode, raw
}

func (w *faultWorld) decode(c *http.Client, method, path string, body any, into func([]byte) error) {
	w.Helper()
	status, raw := w.do(c, method, path, body, "")
	if status/100 != 2 {
		w.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	if err := into(raw); err != nil {
		w.Fatal(err)
	}
}

func (w *faultWorld) signIn(c *http.Client, name string) (int, []byte) {
	return w.do(c, "GET", "/login/dev?login_hint="+name, nil, "")
}

// exchange asks for an address of the stream with its code.
func (w *faultWorld) exchange() (status int, uri string) {
	return w.exchangeWith(w.client(), w.stream.URL, w.stream.Token)
}

func (w *faultWorld) exchangeWith(c *http.Client, address, code string) (status int, uri string) {
	status, raw := w.do(c, "POST", address, nil, code)
	var body struct{ URI string }
	if status == http.StatusOK {
		if err := json.Unmarshal(raw, &body); err != nil {
			w.Error(err)
		}
	}
	return status, body.URI
}

// dial opens a websocket, or returns the status it was refused with.
func (w *faultWorld) dial(uri string, c *http.Client, origin string) (*websocket.Conn, int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	opts := &websocket.DialOptions{HTTPHeader: http.Header{}}
	if c != nil {
		opts.HTTPClient = &http.Client{Jar: c.Jar, Transport: c.Transport}
	}
	if origin != "" {
		opts.HTTPHeader.Set("Origin", origin)
	}
	conn, res, err := websocket.Dial(ctx, uri, opts)
	if err != nil {
		if res == nil {
			return nil, 0
		}
		return nil, res.StatusCode
	}
	conn.SetReadLimit(10 << 20)
	return conn, http.StatusSwitchingProtocols
}

func (w *faultWorld) messageSocket() (*websocket.Conn, int) {
	return w.dial("ws"+strings.TrimPrefix(w.url, "http")+"/api/v1/messages/ws", w.ada, w.url)
}

// liveSocket is an open connection, and when and how it ended.
type liveSocket struct {
	w      *faultWorld
	what   string
	ended  chan struct{} // closed when it has
	at     time.Time
	status websocket.StatusCode
}

func (w *faultWorld) live(what string, open func() (*websocket.Conn, int)) *liveSocket {
	w.Helper()
	conn, status := open()
	if conn == nil {
		w.Fatalf("%s: %d", what, status)
	}
	l := &liveSocket{w: w, what: what, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		for {
			if _, _, err := conn.Read(context.Background()); err != nil {
				closed, _ := errors.AsType[websocket.CloseError](err)
				l.at, l.status = time.Now(), closed.Code
				return
			}
		}
	}()
	w.Cleanup(func() { _ = conn.CloseNow(); <-l.ended })
	return l
}

// ends waits for the end and returns how long after a time it came.
func (l *liveSocket) ends(since time.Time, within time.Duration, status websocket.StatusCode) time.Duration {
	l.w.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	select {
	case <-l.ended:
	case <-limit.C:
		l.w.Errorf("live %s: still open after %v", l.what, within)
		return within
	}
	if l.status != status {
		l.w.Errorf("live %s: ended with %d, want %d", l.what, l.status, status)
	}
	return l.at.Sub(since)
}

// stays checks that it is open now.
func (l *liveSocket) stays() {
	l.w.Helper()
	select {
	case <-l.ended:
		l.w.Errorf("live %s: ended with %d, want it open", l.what, l.status)
	default:
	}
}
