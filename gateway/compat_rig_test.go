package gateway_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/storage/sqlite"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	compatSecret = "what practable's booking system signs with"
	compatOrigin = "https://ui.example"
)

// compatLab is an installation whose relay speaks with practable's clients: its
// stores, and any number of nodes on them.
type compatLab struct {
	path     string
	db       *sqlite.DB
	sessions sessions.Store
	signals  sessions.Signals
	denials  *compatDenials
	url      string // public URL: that of the first node
	hosts    map[string]lodge.Tenant
	noTokens bool // of nodes to come: no secret is configured
}

// compatDenials can be made unreachable.
type compatDenials struct {
	relay.Denials
	down atomic.Bool
}

func (d *compatDenials) Denied(ctx context.Context, tenant lodge.Tenant, now time.Time, keys ...relay.DenialKey) ([]relay.DenialKey, error) {
	if d.down.Load() {
		return nil, errors.New("the session store does not compatAnswer")
	}
	return d.Denials.Denied(ctx, tenant, now, keys...)
}

// compatNode is one node of it.
type compatNode struct {
	*compatLab
	at       string // where it listens
	manager  *sessions.Manager
	gateway  *gateway.Gateway
	client   *http.Client
	shutdown func()
}

func newCompatLab(t *testing.T) *compatNode {
	t.Helper()
	lab := &compatLab{path: filepath.Join(t.TempDir(), "lodge.db"), signals: sessions.NewLocalSignals(), hosts: map[string]lodge.Tenant{"physics.example": "physics"}}
	lab.open(t)
	t.Cleanup(func() { lab.close(t) })
	return lab.node(t)
}

func (l *compatLab) open(t *testing.T) {
	t.Helper()
	var err error
	if l.db, err = sqlite.Open(context.Background(), l.path); err != nil {
		t.Fatal(err)
	}
	l.sessions, l.denials = sqlite.NewSessions(l.db), &compatDenials{Denials: sqlite.NewDenials(l.db)}
}

func (l *compatLab) close(t *testing.T) {
	t.Helper()
	if err := l.db.Close(); err != nil {
		t.Error(err)
	}
}

// node starts one more node, which stops with the test at the latest.
func (l *compatLab) node(t *testing.T) *compatNode {
	t.Helper()
	n := &compatNode{compatLab: l}
	clock, log := lodge.SystemClock{}, slog.New(slog.DiscardHandler)
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	logs := sqlite.NewLog(l.db)
	topics, err := messaging.NewTopics(logs, messaging.Keyring{Names: key(1), Seals: map[string][]byte{"1": key(2)}, Current: "1"}, messaging.TopicsOptions{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	desk, err := booking.NewDesk(sqlite.NewBookings(l.db), booking.Keys{PepperID: "1", Pepper: key(3), Seal: key(4)}, clock, booking.Options{Logger: log})
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
	issuers, err := idp.New(nil, clock, idp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n.manager = sessions.NewManager(l.sessions, sqlite.NewJournal(l.db), l.signals, clock, sessions.Options{Logger: log})
	persons := sqlite.NewPersons(l.db)

	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	n.at, n.client = server.URL, server.Client()
	if l.url == "" {
		l.url = server.URL
	}
	l.hosts[strings.TrimPrefix(server.URL, "http://")] = lodge.DefaultTenant
	var secret []byte
	if !l.noTokens {
		secret = []byte(compatSecret)
	}
	n.gateway, err = gateway.New(gateway.Config{
		PublicURL: l.url, AssetsURL: "http://localhost:1", UIOrigins: []string{compatOrigin}, Hosts: maps.Clone(l.hosts), JWTSecret: secret,
	}, gateway.Parts{
		Clock: clock, Sessions: n.manager, IdP: issuers, Persons: persons, Logouts: persons, Desk: desk, Topics: topics, Log: log, PersonKeys: personKeys(t, l.db),
		Denials: l.denials, Signals: l.signals,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = n.gateway.Handler()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.gateway.Run(ctx) }()
	var stopped atomic.Bool
	n.shutdown = func() {
		if stopped.Swap(true) {
			return
		}
		limit, cancelLimit := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancelLimit()
		if err := n.gateway.Drain(limit); err != nil {
			t.Errorf("drain: %v", err)
		}
		server.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(n.shutdown)
	return n
}

// restart stops every node of the lab and starts one on the stores that are left.
func (n *compatNode) restart(t *testing.T) *compatNode {
	t.Helper()
	n.shutdown()
	n.compatLab.close(t)
	n.compatLab.open(t)
	n.url, n.hosts = "", map[string]lodge.Tenant{} // another port
	return n.node(t)
}

// wanted is what a credential of a test is to be good for.
type wanted struct {
	booking string // of a user
	host    bool   // an experiment's own, of no booking that is denied
	topic   string
	scopes  []string
	begins  time.Duration // from now
	lasts   time.Duration // zero: an hour
}

// A credential makes one kind of token; callers cannot tell the kinds apart.
type credential struct {
	name string
	make func(t *testing.T, n *compatNode, w wanted) string
}

var credentials = []credential{{"jwt", compatJWT}, {"opaque", compatOpaque}}

// eachCredential runs a test on both kinds.
func eachCredential(t *testing.T, test func(t *testing.T, n *compatNode, issue func(wanted) string)) {
	for _, c := range credentials {
		t.Run(c.name, func(t *testing.T) {
			n := newCompatLab(t)
			test(t, n, func(w wanted) string { t.Helper(); return c.make(t, n, w) })
		})
	}
}

func compatJWT(t *testing.T, n *compatNode, w wanted) string {
	t.Helper()
	return compatSign(t, n.claims(w))
}

// claims are those of practable's booking system.
func (n *compatNode) claims(w wanted) map[string]any {
	if w.lasts == 0 {
		w.lasts = time.Hour
	}
	if w.host {
		w.booking = "the-hosts"
	}
	begins := time.Now().Add(w.begins)
	claims := map[string]any{
		"scopes": w.scopes, "aud": []string{n.url}, "iat": time.Now().Unix(), "nbf": begins.Unix(), "exp": time.Now().Add(w.lasts).Unix(),
	}
	if w.booking != "" { // the administrative ones name neither
		maps.Copy(claims, map[string]any{"booking_id": w.booking, "topic": w.topic, "prefix": "session"})
	}
	return claims
}

func compatSign(t *testing.T, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64(body)
	mac := hmac.New(sha256.New, []byte(compatSecret))
	mac.Write([]byte(input))
	return input + "." + b64(mac.Sum(nil))
}

func compatOpaque(t *testing.T, n *compatNode, w wanted) string {
	t.Helper()
	if w.lasts == 0 {
		w.lasts = time.Hour
	}
	now := time.Now()
	s := sessions.New{Tenant: lodge.DefaultTenant, Kind: sessions.Experiment, Booking: w.booking, Experiment: "pend00", ExpiresAt: now.Add(w.lasts)}
	if w.begins != 0 {
		s.NotBefore = now.Add(w.begins)
	}
	switch {
	case w.host:
		s.Kind = sessions.Host
	case w.booking == "" || w.topic == relay.StatsTopic:
		s.Kind, s.Booking, s.Experiment = sessions.Service, "", ""
	}
	for _, scope := range w.scopes {
		if scope == "read" || scope == "write" {
			scope += ":" + w.topic
		}
		s.Scopes = append(s.Scopes, scope)
	}
	// One that is over at once was good once.
	if w.lasts < 0 {
		s.ExpiresAt = now.Add(time.Hour)
	}
	code, made, err := n.manager.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if w.lasts < 0 {
		made.ExpiresAt = now.Add(w.lasts)
		if err := n.sessions.Update(t.Context(), made); err != nil {
			t.Fatal(err)
		}
	}
	return code
}

// compatAnswer is a response with its body read.
type compatAnswer struct {
	status int
	header http.Header
	body   string
}

// message is the message of an error in practable's form, which it must have.
func (a compatAnswer) message(t *testing.T) string {
	t.Helper()
	var e struct{ Code, Message string }
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil || e.Message == "" || e.Code == "" {
		t.Errorf("%d %q is not practable's {code, message}: %v", a.status, a.body, err)
	}
	return e.Message
}

func (n *compatNode) call(t *testing.T, method, path, authorization string) compatAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.at+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return n.answered(t, req)
}

// answered sends a request.
func (n *compatNode) answered(t *testing.T, req *http.Request) compatAnswer {
	t.Helper()
	resp, err := n.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return compatAnswer{resp.StatusCode, resp.Header, string(body)}
}

// uri does the exchange and returns the address, on this node.
func (n *compatNode) uri(t *testing.T, topic, authorization string) string {
	t.Helper()
	a := n.call(t, http.MethodPost, "/session/"+topic, authorization)
	var got map[string]string
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK || len(got) != 1 {
		t.Fatalf("exchange: %d %s", a.status, a.body)
	}
	return strings.Replace(got["uri"], strings.TrimPrefix(n.url, "http"), strings.TrimPrefix(n.at, "http"), 1)
}

// connect does what practable's clients do.
func (n *compatNode) connect(t *testing.T, topic, authorization string) *websocket.Conn {
	t.Helper()
	before := n.peers(t)
	conn := wstest.Dial(t, n.client, n.uri(t, topic, authorization), nil)
	wstest.Eventually(t, "joined", func() bool { return n.peers(t) > before })
	return conn
}

// peers counts the open connections.
func (n *compatNode) peers(t *testing.T) int {
	t.Helper()
	var list []json.RawMessage
	a := n.call(t, http.MethodGet, "/status", compatJWT(t, n, wanted{scopes: []string{relay.ScopeStats}}))
	if err := json.Unmarshal([]byte(a.body), &list); err != nil {
		t.Fatalf("status: %d %s", a.status, a.body)
	}
	return len(list)
}

func (n *compatNode) closed(t *testing.T, conn *websocket.Conn, code websocket.StatusCode) {
	t.Helper()
	if frame := wstest.Closed(t, conn, 10*time.Second); frame.Code != code || frame.Reason == "" {
		t.Errorf("closed with %d %q, want %d with a reason", frame.Code, frame.Reason, code)
	}
}

func bidQuery(bid string, lasts time.Duration) string {
	return url.Values{"bid": {bid}, "exp": {strconv.FormatInt(time.Now().Add(lasts).Unix(), 10)}}.Encode()
}
