package relay

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// fakeAccess is an Access whose answers a test sets.
type fakeAccess struct {
	mu      sync.Mutex
	codes   map[string]Grant // by code and topic
	answers map[string]error // by session: why it is refused
	ends    map[string]time.Time
	rights  map[string][2]bool // by session: read, write
	sizes   map[string]int64   // by session: the largest message
	kinds   map[string]string  // by session; otherwise experiment
	down    error
	block   chan struct{} // when set, Renew waits for it or its context
	hints   map[*func()]string
	renewed int
	// mute loses hints, as a broken signal would.
	mute bool
}

func newAccess() *fakeAccess {
	return &fakeAccess{codes: map[string]Grant{}, answers: map[string]error{}, ends: map[string]time.Time{}, rights: map[string][2]bool{}, sizes: map[string]int64{}, kinds: map[string]string{}, hints: map[*func()]string{}}
}

// allow makes code good for a topic. The code is the session's name too.
func (a *fakeAccess) allow(code, topic string, read, write bool, ends time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.codes[code+" "+topic] = Grant{
		Tenant: lodge.DefaultTenant, Session: code, Kind: "experiment", Name: "Name of " + code, Topic: topic,
		Read: read, Write: write, Ends: ends,
	}
}

// book makes a code that was allowed one of a booking.
func (a *fakeAccess) book(code, topic, booking string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.codes[code+" "+topic]
	g.Booking = booking
	a.codes[code+" "+topic] = g
}

func (a *fakeAccess) Grant(ctx context.Context, tenant lodge.Tenant, code, topic string) (Grant, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down != nil {
		return Grant{}, a.down
	}
	g, ok := a.codes[code+" "+topic]
	if !ok {
		return Grant{}, lodge.E(lodge.CodeUnauthenticated, "This code is not known.")
	}
	g.Tenant = tenant
	if kind := a.kinds[code]; kind != "" {
		g.Kind = kind
	}
	if err := a.answers[code]; err != nil {
		return Grant{}, err
	}
	return g, nil
}

func (a *fakeAccess) Renew(ctx context.Context, g Grant) (Grant, error) {
	a.mu.Lock()
	block := a.block
	a.renewed++
	a.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return Grant{}, ctx.Err()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down != nil {
		return Grant{}, a.down
	}
	if err := a.answers[g.Session]; err != nil {
		return Grant{}, err
	}
	if e, ok := a.ends[g.Session]; ok {
		g.Ends = e
	}
	if r, ok := a.rights[g.Session]; ok {
		g.Read, g.Write = r[0], r[1]
	}
	if n, ok := a.sizes[g.Session]; ok {
		g.MaxMessage = n
	}
	return g, nil
}

func (a *fakeAccess) Watch(g Grant, hint func()) func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := &hint
	a.hints[key] = g.Session
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.hints, key)
	}
}

func (a *fakeAccess) watching() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.hints)
}

// change alters the answers and then hints, as a store and its signal do.
func (a *fakeAccess) change(session string, alter func()) {
	a.mu.Lock()
	alter()
	var hints []func()
	for h, s := range a.hints {
		if s == session && !a.mute {
			hints = append(hints, *h)
		}
	}
	a.mu.Unlock()
	for _, h := range hints {
		h()
	}
}

func (a *fakeAccess) refuse(session string, code websocket.StatusCode, reason string) {
	a.change(session, func() { a.answers[session] = &Refusal{code, reason} })
}

// movedClock is a clock that a test moves by hand.
type movedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *movedClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a relay behind a server, with the fakes it runs on.
type rig struct {
	*Relay
	access *fakeAccess
	url    string
	client *http.Client
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func routes(r *Relay) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/session/", r.Session)
	mux.HandleFunc("/status", r.Status)
	mux.HandleFunc("/bids/deny", r.Deny)
	mux.HandleFunc("/bids/allow", r.Allow)
	return mux
}

// onNetwork starts a relay on a real port.
func onNetwork(t testing.TB, opts Options) *rig {
	t.Helper()
	return start(t, lodge.SystemClock{}, opts)
}

func start(t testing.TB, clock lodge.Clock, opts Options) *rig {
	t.Helper()
	access := newAccess()
	opts.Logger = quiet()
	r := New(access, clock, opts)
	srv := httptest.NewServer(routes(r))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := r.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
		srv.Close()
	})
	return &rig{Relay: r, access: access, url: srv.URL, client: srv.Client()}
}

// onPipes starts a relay on pipes: they hold nothing, so that a reader that does
// not read is noticed at once, and they work under testing/synctest.
func onPipes(t testing.TB, opts Options) *rig {
	t.Helper()
	access := newAccess()
	opts.Logger = quiet()
	r := New(access, lodge.SystemClock{}, opts)
	srv := wstest.Serve(routes(r))
	t.Cleanup(func() {
		if err := r.Drain(context.Background()); err != nil {
			t.Errorf("drain: %v", err)
		}
		srv.Close()
	})
	return &rig{Relay: r, access: access, url: srv.URL, client: srv.Client}
}

// post does the exchange and returns the status and the decoded answer.
func (r *rig) post(t testing.TB, topic, authorization string) (int, map[string]string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+"/session/"+topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return r.do(t, req)
}

func (r *rig) do(t testing.TB, req *http.Request) (int, map[string]string) {
	t.Helper()
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
	var answer map[string]string
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// uri does the exchange and returns the address.
func (r *rig) uri(t testing.TB, topic, code string) string {
	t.Helper()
	status, answer := r.post(t, topic, code)
	if status != http.StatusOK {
		t.Fatalf("exchange: status %d, %v", status, answer)
	}
	return answer["uri"]
}

// connect does the whole exchange.
func (r *rig) connect(t testing.TB, topic, code string) *websocket.Conn {
	t.Helper()
	return wstest.Dial(t, r.client, r.uri(t, topic, code), nil)
}

// member allows code on topic and connects with it.
func (r *rig) member(t testing.TB, topic, code string, rights string) *websocket.Conn {
	t.Helper()
	r.access.allow(code, topic, strings.Contains(rights, "r"), strings.Contains(rights, "w"), time.Time{})
	conn := r.connect(t, topic, code)
	wstest.Eventually(t, "joined", func() bool {
		return slices.ContainsFunc(r.Peers(lodge.DefaultTenant), func(p PeerStatus) bool { return p.Session == code })
	})
	return conn
}
