package bridge

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/relay"
)

// access lets the code "good" into every topic.
type access struct{}

func (access) Grant(_ context.Context, tenant lodge.Tenant, code, topic string) (relay.Grant, error) {
	if code != "good" && code != "viewer" {
		return relay.Grant{}, lodge.E(lodge.CodeUnauthenticated, "This code is not known.")
	}
	return relay.Grant{Tenant: tenant, Session: code, Kind: "host", Topic: topic, Read: true, Write: true}, nil
}

func (access) Renew(_ context.Context, g relay.Grant) (relay.Grant, error) { return g, nil }

func (access) Watch(relay.Grant, func()) (stop func()) { return func() {} }

// rig is a relay and a bridge that carries streams to it.
type rig struct {
	*Bridge
	relay   *relay.Relay
	gateway *httptest.Server
	local   *httptest.Server

	mu   sync.Mutex
	code string // guarded by mu
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start runs both until the test ends.
func start(t *testing.T, code string, streams ...Stream) *rig {
	t.Helper()
	r := &rig{code: code}
	r.relay = relay.New(access{}, lodge.SystemClock{}, relay.Options{Logger: quiet()})
	mux := http.NewServeMux()
	mux.HandleFunc("/session/", r.relay.Session)
	r.gateway = httptest.NewServer(mux)
	var err error
	r.Bridge, err = New(Options{Relay: r.gateway.URL, Streams: streams, QueueBytes: 1 << 16, Logger: quiet(), Client: r.gateway.Client(), Code: func() (string, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.code, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.local = httptest.NewServer(r.Handler())
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		r.local.Close()
		limited, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.relay.Drain(limited); err != nil {
			t.Errorf("drain: %v", err)
		}
		r.gateway.Close()
	})
	return r
}

// connected waits until every stream is.
func (r *rig) connected(t *testing.T) {
	t.Helper()
	wstest.Eventually(t, "every stream connected to the relay", func() bool { return healthy(r.Status()) })
}

// viewer joins a topic at the relay.
func (r *rig) viewer(t *testing.T, topic string) *websocket.Conn {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.gateway.URL+"/session/"+topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "viewer")
	res, err := r.gateway.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ URI string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.URI == "" {
		t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	before := r.relay.Stats().Peers
	conn := wstest.Dial(t, r.gateway.Client(), answer.URI, nil)
	wstest.Eventually(t, "the viewer has joined", func() bool { return r.relay.Stats().Peers > before })
	return conn
}

// program opens a stream at the bridge as a local program does.
func (r *rig) program(t *testing.T, topic string) *websocket.Conn {
	t.Helper()
	conn := wstest.Dial(t, r.local.Client(), "ws"+r.local.URL[len("http"):]+"/ws/"+topic, nil)
	wstest.Eventually(t, "the program has joined", func() bool { return r.Status()[0].Programs > 0 })
	return conn
}

func (r *rig) get(t *testing.T, path string) (int, string) {
	t.Helper()
	res, err := r.local.Client().Get(r.local.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
