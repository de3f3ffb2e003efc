package bridge

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/wstest"
)

func TestProgramsAndViewersMeet(t *testing.T) {
	r := start(t, "good", Stream{Topic: "pend00-data"})
	r.connected(t)
	rig, ada := r.program(t, "pend00-data"), r.viewer(t, "pend00-data")
	for _, sent := range []struct {
		kind websocket.MessageType
		body string
	}{{websocket.MessageText, `{"angle":1}`}, {websocket.MessageBinary, "\x00\xff"}, {websocket.MessageText, ""}, {websocket.MessageBinary, strings.Repeat("x", 100_000)}} {
		wstest.Write(t, rig, sent.kind, sent.body)
		if kind, body := wstest.Read(t, ada); kind != sent.kind || body != sent.body {
			t.Errorf("the viewer got %v of %d bytes, want %v of %d", kind, len(body), sent.kind, len(sent.body))
		}
		wstest.Write(t, ada, sent.kind, sent.body)
		if kind, body := wstest.Read(t, rig); kind != sent.kind || body != sent.body {
			t.Errorf("the program got %v of %d bytes, want %v of %d", kind, len(body), sent.kind, len(sent.body))
		}
	}
	s := r.Status()[0]
	if s.Up.Messages != 4 || s.Down.Messages != 4 || s.Up.Bytes != 100_013 || s.Dropped != (Dropped{}) || s.Programs != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestWhatNobodyTakesIsCounted(t *testing.T) {
	r := start(t, "bad", Stream{Topic: "pend00-data"})
	rig := r.program(t, "pend00-data")
	wstest.Eventually(t, "a refusal", func() bool { return strings.Contains(r.Status()[0].Failure, "401") })
	wstest.Write(t, rig, websocket.MessageText, "early")
	wstest.Eventually(t, "a message that went nowhere", func() bool { return r.Status()[0].Dropped.Unreached == 1 })
	if status, body := r.get(t, "/status"); status != http.StatusServiceUnavailable || !strings.Contains(body, "This code is not valid.") {
		t.Errorf("status %d: %s", status, body)
	}

	// A code that was put right is taken up without a restart.
	r.mu.Lock()
	r.code = "good"
	r.mu.Unlock()
	r.connected(t)
	ada := r.viewer(t, "pend00-data")
	wstest.Write(t, rig, websocket.MessageText, "now")
	if _, body := wstest.Read(t, ada); body != "now" {
		t.Errorf("got %q: what was sent while nobody listened is of the past", body)
	}
	if err := rig.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	wstest.Eventually(t, "the program gone", func() bool { return r.Status()[0].Programs == 0 })
	wstest.Write(t, ada, websocket.MessageText, "anybody?")
	wstest.Eventually(t, "a message that nobody heard", func() bool { return r.Status()[0].Dropped.Unheard == 1 })

	status, body := r.get(t, "/status")
	var all []Status
	if err := json.Unmarshal([]byte(body), &all); err != nil || status != http.StatusOK || all[0].Connected.IsZero() || all[0].Failure != "" {
		t.Errorf("status %d: %s (%v)", status, body, err)
	}
	if _, page := r.get(t, "/"); !strings.Contains(page, "connected since") || !strings.Contains(page, "1 unreached, 0 too slow, 1 unheard") {
		t.Errorf("page: %s", page)
	}
}

func TestLocalServerIsDialled(t *testing.T) {
	conns := make(chan *websocket.Conn)
	rigSide := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		conn, err := websocket.Accept(w, req, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		conns <- conn
	}))
	t.Cleanup(rigSide.Close)
	r := start(t, "good", Stream{Topic: "pend00-data", Dial: "ws" + rigSide.URL[len("http"):]})
	r.connected(t)
	ada := r.viewer(t, "pend00-data")
	for range 2 { // it comes back
		rig := <-conns
		wstest.Write(t, rig, websocket.MessageText, "angle")
		if _, body := wstest.Read(t, ada); body != "angle" {
			t.Errorf("got %q", body)
		}
		wstest.Write(t, ada, websocket.MessageText, "kick")
		if _, body := wstest.Read(t, rig); body != "kick" {
			t.Errorf("got %q", body)
		}
		if err := rig.CloseNow(); err != nil {
			t.Fatal(err)
		}
	}
	<-conns
	if _, status := wstest.TryDial(t, r.local.Client(), "ws"+r.local.URL[len("http"):]+"/ws/pend00-data", nil); status != http.StatusConflict {
		t.Errorf("another sender got status %d, want 409", status)
	}
}

func TestOnlyProgramsMaySend(t *testing.T) {
	r := start(t, "good", Stream{Topic: "pend00-data"})
	for _, header := range []http.Header{{"Origin": {"https://evil.example"}}, {"Origin": {"null"}}, {"Sec-Fetch-Site": {"same-origin"}}} {
		if _, status := wstest.TryDial(t, r.local.Client(), "ws"+r.local.URL[len("http"):]+"/ws/pend00-data", header); status != http.StatusForbidden {
			t.Errorf("%v: status %d, want 403", header, status)
		}
	}
	if _, status := wstest.TryDial(t, r.local.Client(), "ws"+r.local.URL[len("http"):]+"/ws/other", nil); status != http.StatusNotFound {
		t.Errorf("a stream that is not listed: status %d, want 404", status)
	}
}

func TestFaultsAreToldTogether(t *testing.T) {
	_, err := New(Options{Relay: "lab.example", Streams: []Stream{{Topic: "a b"}, {Topic: "x"}, {Topic: "x", Dial: "http://127.0.0.1"}}})
	for _, want := range []string{"lab.example", "needs a code", `"a b"`, "listed twice", "not a websocket address"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %s: %v", want, err)
		}
	}
	if _, err := New(Options{Relay: "https://lab.example", Code: func() (string, error) { return "x", nil }}); err == nil {
		t.Error("a bridge without streams was made")
	}
}
