package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/wstest"
)

// holdOn keeps a connection until it ends.
func holdOn(ctx context.Context, conn *websocket.Conn) error {
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return err
		}
	}
}

func TestConnectorComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		r.access.allow("host", "pend00-data", true, true, time.Time{})
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		connected := make(chan *websocket.Conn)
		run.Go(func() {
			c := &Connector{BaseURL: r.url + "/", Topic: "pend00-data", Code: "host", Client: r.client, Logger: quiet()}
			err := c.Run(ctx, func(ctx context.Context, conn *websocket.Conn) error {
				connected <- conn
				return holdOn(ctx, conn)
			})
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		ada := r.member(t, "pend00-data", "ada", "rw")
		for i := range 3 {
			conn := <-connected
			wstest.Eventually(t, "two peers", func() bool { return r.Stats().Peers == 2 })
			wstest.Write(t, conn, websocket.MessageText, fmt.Sprint("hello ", i))
			if _, body := wstest.Read(t, ada); body != fmt.Sprint("hello ", i) {
				t.Errorf("got %q", body)
			}
			for _, p := range peersOf(r, "host") {
				p.shut(StatusGoingAway, "The relay is going down.")
			}
		}
		<-connected
		cancel()
		run.Wait()
		wstest.Eventually(t, "the host has left", func() bool { return r.Stats().Peers == 1 })
	})
}

func peersOf(r *rig, session string) (list []*peer) {
	r.rooms.each(func(p *peer) {
		if p.grant.Load().Session == session {
			list = append(list, p)
		}
	})
	return list
}

// The pauses grow, each a random part of its ceiling; refusals are asked about
// more rarely than an absent gateway.
func TestConnectorBacksOff(t *testing.T) {
	half := func() float64 { return 0.5 }
	c, err := (&Connector{BaseURL: "http://x", Topic: "t", Code: "c", Rand: half}).checked()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(status int, retry time.Duration) error { return &refusedError{status: status, retryAfter: retry} }
	for _, tc := range []struct {
		failures int
		err      error
		want     time.Duration
	}{
		{0, errors.New("no route"), 250 * time.Millisecond},
		{1, errors.New("no route"), 500 * time.Millisecond},
		{4, errors.New("no route"), 4 * time.Second},
		{1000, errors.New("no route"), 4 * time.Second},
		{0, nil, 250 * time.Millisecond},
		{1000, refused(503, 0), 4 * time.Second},
		{1000, refused(429, 0), 4 * time.Second},
		{0, refused(503, 20*time.Second), 20*time.Second + 250*time.Millisecond},
		{0, refused(503, time.Hour), time.Minute + 250*time.Millisecond},
		{0, refused(401, 0), 250 * time.Millisecond},
		{1000, refused(401, 0), 30 * time.Second},
		{1000, refused(403, 0), 30 * time.Second},
		{1000, websocket.CloseError{Code: StatusRevoked}, 30 * time.Second},
		{1000, websocket.CloseError{Code: StatusGoingAway}, 4 * time.Second},
	} {
		if got := c.pause(tc.failures, tc.err); got != tc.want {
			t.Errorf("after %d failures and %v: %v, want %v", tc.failures, tc.err, got, tc.want)
		}
	}
	for _, r := range []float64{0, 0.999999} {
		c.Rand = func() float64 { return r }
		if got := c.pause(1000, errors.New("no route")); got < 0 || got > 8*time.Second {
			t.Errorf("%v", got)
		}
	}
}

// A relay that vanishes without a word is noticed.
func TestConnectorNoticesSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := make(chan time.Time, 10)
		mux := http.NewServeMux()
		mux.HandleFunc("POST /session/t", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"uri":"ws://lodge.test/session/t"}`))
		})
		mux.HandleFunc("GET /session/t", func(w http.ResponseWriter, req *http.Request) {
			conn, err := websocket.Accept(w, req, nil)
			if err != nil {
				t.Errorf("accept: %v", err)
				return
			}
			opened <- time.Now()
			<-t.Context().Done() // and reads nothing
			_ = conn.CloseNow()  // the test is over
		})
		srv := wstest.Serve(mux)
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() {
			c := &Connector{BaseURL: srv.URL, Topic: "t", Code: "host", Client: srv.Client, Logger: quiet(), Rand: func() float64 { return 0 }}
			if err := c.Run(ctx, holdOn); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		first, second := <-opened, <-opened
		if took := second.Sub(first); took > hostPingEvery+hostPingWait {
			t.Errorf("noticed after %v", took)
		}
		cancel()
		run.Wait()
		srv.Close()
	})
}

// A gateway that lets in and drops at once is not hammered.
func TestConnectorDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onPipes(t, Options{})
		r.access.allow("host", "t", true, true, time.Time{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		attempts := 0
		c := &Connector{BaseURL: r.url, Topic: "t", Code: "host", Client: r.client, Logger: quiet(), Rand: func() float64 { return 0.5 }}
		if err := c.Run(ctx, func(context.Context, *websocket.Conn) error { attempts++; return errors.New("no") }); err != nil {
			t.Fatal(err)
		}
		if attempts < 100 || attempts > 170 { // every 4 s, once it has settled
			t.Errorf("%d attempts in ten minutes", attempts)
		}
	})
}

func TestConnectorThatCannotWork(t *testing.T) {
	for name, c := range map[string]*Connector{
		"no address":     {Topic: "t", Code: "c"},
		"not http":       {BaseURL: "ws://x", Topic: "t", Code: "c"},
		"no topic":       {BaseURL: "http://x", Code: "c"},
		"impossible one": {BaseURL: "http://x", Topic: "a//b", Code: "c"},
		"no code":        {BaseURL: "http://x", Topic: "t"},
	} {
		if err := c.Run(t.Context(), nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestConnectorRefusesBadAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"not JSON":    "<html>",
		"no address":  `{}`,
		"not ws":      `{"uri":"http://lodge.test/session/t?code=TICKET"}`,
		"no host":     `{"uri":"ws:///session/t?code=TICKET"}`,
		"nobody home": `{"uri":"ws://lodge.test/elsewhere?code=TICKET"}`,
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("POST /session/t", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) })
			srv := wstest.Serve(mux)
			defer srv.Close()
			c, err := (&Connector{BaseURL: srv.URL, Topic: "t", Code: "CODE", Client: srv.Client}).checked()
			if err != nil {
				t.Fatal(err)
			}
			conn, err := c.dial(t.Context())
			if err == nil {
				_ = conn.CloseNow() // never opened, if all is well
				t.Fatal("no error")
			}
		})
	}
	t.Run("downgrade", func(t *testing.T) {
		client := &http.Client{Transport: answering(`{"uri":"ws://lodge.test/session/t?code=TICKET"}`)}
		c, err := (&Connector{BaseURL: "https://lodge.test", Topic: "t", Code: "CODE", Client: client}).checked()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.exchange(t.Context()); err == nil || !strings.Contains(err.Error(), "encrypted") {
			t.Errorf("err = %v", err)
		}
	})
}

type answering string

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(a))), Header: http.Header{}}, nil
}

// Whatever goes wrong, neither code nor ticket is in what is logged.
func TestSec02_ConnectorLogsNoSecret(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(p)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))

	mux := http.NewServeMux()
	mux.HandleFunc("POST /session/refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("POST /session/nobody", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"uri":"ws://lodge.test:1/session/nobody?code=TICKET"}`))
	})
	mux.HandleFunc("GET /session/nobody", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close() // as a server that dies
		}
	})
	mux.HandleFunc("POST /session/drops", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	srv := wstest.Serve(mux)
	defer srv.Close()
	for _, topic := range []string{"refused", "nobody", "drops"} {
		ctx, cancel := context.WithCancel(t.Context())
		attempts := 0
		c := &Connector{BaseURL: srv.URL, Topic: topic, Code: "SECRETCODE", Client: srv.Client, Logger: logger, Rand: func() float64 {
			if attempts++; attempts == 2 {
				cancel()
			}
			return 0
		}}
		if err := c.Run(ctx, holdOn); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	mu.Lock()
	defer mu.Unlock()
	if text := log.String(); strings.Contains(text, "TICKET") || strings.Contains(text, "SECRETCODE") || !strings.Contains(text, "topic=nobody") {
		t.Errorf("logged:\n%s", text)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
