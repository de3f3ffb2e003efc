package simrig

import (
	"bytes"
	"context"
	"encoding/json"
	"image/jpeg"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/relay"
)

// access lets the host and the student in, each with a code.
type access struct{}

func (access) Grant(_ context.Context, tenant lodge.Tenant, code, topic string) (relay.Grant, error) {
	if code != "host" && code != "student" || !strings.HasPrefix(topic, "pend00-") {
		return relay.Grant{}, lodge.E(lodge.CodeUnauthenticated, "This code is not known.")
	}
	return relay.Grant{Tenant: tenant, Session: code, Kind: code, Topic: topic, Read: true, Write: true}, nil
}
func (access) Renew(_ context.Context, g relay.Grant) (relay.Grant, error) { return g, nil }
func (access) Watch(relay.Grant, func()) func()                            { return func() {} }

func newRelay() (*relay.Relay, http.Handler) {
	r := relay.New(access{}, lodge.SystemClock{}, relay.Options{Logger: slog.New(slog.DiscardHandler)})
	mux := http.NewServeMux()
	mux.HandleFunc("/session/", r.Session)
	return r, mux
}

// runRig runs a rig until the returned function is called.
func runRig(t *testing.T, url string, client *http.Client) (*Rig, func()) {
	t.Helper()
	rig := New(Config{BaseURL: url, Stub: "pend00", Code: "host", Client: client, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		if err := rig.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return rig, func() { cancel(); run.Wait() }
}

func view(t *testing.T, url string, client *http.Client, stream string) *websocket.Conn {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url+"/session/pend00-"+stream, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "student")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ URI string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return wstest.Dial(t, client, answer.URI, nil)
}

func readSample(t *testing.T, conn *websocket.Conn) sample {
	t.Helper()
	kind, body := wstest.Read(t, conn)
	var s sample
	if err := json.Unmarshal([]byte(body), &s); err != nil || kind != websocket.MessageText {
		t.Fatalf("%v %q: %v", kind, body, err)
	}
	return s
}

// From the rig through the relay to a student's page and back, over the network.
func TestRigThroughTheRelay(t *testing.T) {
	r, handler := newRelay()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	rig, stop := runRig(t, srv.URL, nil)
	data, video := view(t, srv.URL, srv.Client(), "data"), view(t, srv.URL, srv.Client(), "video")

	if s := readSample(t, data); s.Drive != 0 || s.Angle != 0 {
		t.Errorf("not at rest: %+v", s)
	}
	still := frame(t, video)

	for _, bad := range []string{"", "x", "{}", `{"cmd":"fly"}`, `{"cmd":"drive"}`, `{"cmd":"drive","value":2}`, `{"cmd":"drive","value":"1"}`, `[]`} {
		wstest.Write(t, data, websocket.MessageText, bad)
	}
	wstest.Write(t, data, websocket.MessageBinary, `{"cmd":"kick"}`)
	wstest.Write(t, data, websocket.MessageText, `{"cmd":"drive","value":0.8}`)
	wstest.Eventually(t, "the rig swings", func() bool {
		s := readSample(t, data)
		return s.Drive == 0.8 && s.Angle > 10
	})
	if n := rig.Ignored(); n != 9 {
		t.Errorf("%d commands ignored", n)
	}
	wstest.Eventually(t, "the picture shows it", func() bool { return !bytes.Equal(frame(t, video), still) })

	wstest.Write(t, data, websocket.MessageText, `{"cmd":"brake"}`)
	wstest.Eventually(t, "the rig is held", func() bool { s := readSample(t, data); return s.Brake && s.Drive == 0 })

	stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	// The clients must read for their part in closing.
	var clients sync.WaitGroup
	for _, conn := range []*websocket.Conn{data, video} {
		clients.Go(func() {
			if frame := wstest.Closed(t, conn, 10*time.Second); frame.Code != relay.StatusGoingAway {
				t.Errorf("%v", frame)
			}
		})
	}
	if err := r.Drain(ctx); err != nil {
		t.Error(err)
	}
	clients.Wait()
}

func frame(t *testing.T, conn *websocket.Conn) []byte {
	t.Helper()
	kind, body := wstest.Read(t, conn)
	img, err := jpeg.Decode(strings.NewReader(body))
	if err != nil || kind != websocket.MessageBinary || img.Bounds().Dx() != 320 || img.Bounds().Dy() != 240 {
		t.Fatalf("%v: %v", kind, err)
	}
	return []byte(body)
}

// The rates, on a clock of the test's: 20 samples and 12.5 pictures a second,
// and no picture while there is no connection.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, handler := newRelay()
		srv := wstest.Serve(handler)
		rig, stop := runRig(t, srv.URL, srv.Client)
		synctest.Wait()
		data, video := view(t, srv.URL, srv.Client, "data"), view(t, srv.URL, srv.Client, "video")

		begun := time.Now()
		last := readSample(t, data)
		for range 20 {
			s := readSample(t, data)
			if s.T-last.T != 50 {
				t.Errorf("%d ms between two samples", s.T-last.T)
			}
			last = s
		}
		if took := time.Since(begun); took > 1100*time.Millisecond {
			t.Errorf("21 samples took %v", took)
		}
		for range 20 { // past those that have waited
			frame(t, video)
		}
		begun = time.Now()
		for range 25 {
			frame(t, video)
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("25 pictures took %v", took)
		}

		stop()
		drawn := rig.drawn.Load()
		<-time.After(time.Minute)
		if rig.drawn.Load() != drawn {
			t.Error("pictures are drawn for nobody")
		}
		_, _ = data.CloseNow(), video.CloseNow() // the test is over
		if err := r.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
}

func FuzzCommand(f *testing.F) {
	for _, body := range []string{`{"cmd":"drive","value":0.5}`, `{"cmd":"brake"}`, `{"cmd":"kick"}`, `{"cmd":"drive","value":1e999}`, `null`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseCommand(body)
		if err != nil {
			return
		}
		if c.Cmd == "drive" && (c.Value == nil || !(*c.Value >= -1 && *c.Value <= 1)) {
			t.Errorf("accepted %q", body)
		}
	})
}
