package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
)

// A visitor is one person's browser: cookies, and the public surface.
type visitor struct {
	t      testing.TB
	base   string
	client *http.Client
}

func newVisitor(t testing.TB, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, base: base, client: &http.Client{Jar: jar, Transport: transport, Timeout: 15 * time.Second}}
}

// signedIn is a visitor who has signed in at the development issuer.
func signedIn(t testing.TB, base, name string) *visitor {
	t.Helper()
	v := newVisitor(t, base)
	status, body := v.do("GET", "/login/dev?login_hint="+name, nil)
	if status != http.StatusOK {
		t.Fatalf("signing in as %s: %d %s", name, status, body)
	}
	return v
}

type header struct{ name, value string }

// do makes a request with a JSON body and returns status and body.
func (v *visitor) do(method, path string, body any, headers ...header) (int, []byte) {
	v.t.Helper()
	res := v.request(method, path, body, headers...)
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res.StatusCode, out
}

func (v *visitor) request(method, path string, body any, headers ...header) *http.Response {
	v.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			v.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	if !strings.HasPrefix(path, "http") {
		path = v.base + path
	}
	req, err := http.NewRequest(method, path, reader)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, h := range headers {
		if h.name == "Host" {
			req.Host = h.value
			continue
		}
		req.Header.Add(h.name, h.value)
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res
}

// call is do for what must succeed, decoded.
func call[T any](v *visitor, want int, method, path string, body any, headers ...header) T {
	v.t.Helper()
	status, raw := v.do(method, path, body, headers...)
	if status != want {
		v.t.Fatalf("%s %s: %d, want %d: %s", method, path, status, want, raw)
	}
	var out T
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			v.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return out
}

// refusedWith is do for what must be refused: with this status, and a problem
// that says what to do.
func (v *visitor) refusedWith(want int, method, path string, body any, headers ...header) gateway.Problem {
	v.t.Helper()
	res := v.request(method, path, body, headers...)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	var p gateway.Problem
	if err := json.Unmarshal(raw, &p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" {
		v.t.Fatalf("%s %s: %d with no problem document: %s", method, path, res.StatusCode, raw)
	}
	if res.StatusCode != want || p.Status != want || len(p.Detail) < 10 {
		v.t.Fatalf("%s %s: %d %+v, want %d with words that help", method, path, res.StatusCode, p, want)
	}
	return p
}

// An event is a CloudEvent of the message socket.
type event struct {
	ID    string          `json:"id"`
	Type  string          `json:"type"`
	Topic string          `json:"lodgetopic"`
	Pos   string          `json:"lodgepos"`
	Data  json.RawMessage `json:"data"`
}

// A socket is an open message websocket.
type socket struct {
	t      testing.TB
	conn   *websocket.Conn
	events chan event
	closed chan error // gets the reason once
	seen   map[string]int
	last   map[string]string // position by topic
}

// messages opens the message socket, going on where another left off.
func (v *visitor) messages(resume map[string]string) *socket {
	v.t.Helper()
	q := url.Values{}
	for topic, pos := range resume {
		q.Add("resume", url.QueryEscape(topic)+"~"+pos)
	}
	return v.open("ws"+strings.TrimPrefix(v.base, "http")+"/api/v1/messages/ws?"+q.Encode(), v.base)
}

func (v *visitor) open(address, origin string) *socket {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: &http.Client{Jar: v.client.Jar, Transport: v.client.Transport}, HTTPHeader: http.Header{"Origin": {origin}},
	})
	if err != nil {
		v.t.Fatalf("message socket: %v (%v)", err, res)
	}
	conn.SetReadLimit(1 << 20)
	s := &socket{t: v.t, conn: conn, events: make(chan event, 1024), closed: make(chan error, 1), seen: map[string]int{}, last: map[string]string{}}
	schemas, wrong, ended := v.asyncAPI(), &faults{}, make(chan struct{})
	go func() {
		defer close(ended)
		for {
			_, raw, err := conn.Read(context.Background())
			if err != nil {
				s.closed <- err
				return
			}
			var e event
			if err := json.Unmarshal(raw, &e); err != nil {
				wrong.add(err.Error())
				continue
			}
			wrong.check(schemas, e.Type, raw)
			s.events <- e
		}
	}()
	v.t.Cleanup(func() {
		_ = conn.CloseNow()
		<-ended
		for _, fault := range wrong.found {
			v.t.Errorf("a frame that asyncapi.yaml does not allow: %s", fault)
		}
	})
	return s
}

// await returns the next event that fits, counting every one that passes.
func (s *socket) await(what string, fits func(event) bool) event {
	s.t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case e := <-s.events:
			s.note(e)
			if fits(e) {
				return e
			}
		case err := <-s.closed:
			s.t.Fatalf("waiting for %s: the socket closed: %v", what, err)
		case <-deadline.C:
			s.t.Fatalf("%s did not arrive", what)
		}
	}
}

func (s *socket) note(e event) {
	if e.Pos != "" {
		s.seen[e.ID]++
		s.last[e.Topic] = e.Pos
	}
}

// caughtUp waits until all that was missed has been sent.
func (s *socket) caughtUp() *socket {
	s.t.Helper()
	s.await("the end of the catch-up", func(e event) bool { return e.Type == "lodge.caught-up" })
	return s
}

// notice waits for a notice with this text.
func (s *socket) notice(text string) event {
	s.t.Helper()
	return s.await("the notice "+text, func(e event) bool {
		var n gateway.Notice
		return e.Type == "lodge.notice" && json.Unmarshal(e.Data, &n) == nil && n.Text == text
	})
}

// change waits for an event of a type whose change is this one.
func (s *socket) change(typ, change string) event {
	s.t.Helper()
	return s.await(typ+" "+change, func(e event) bool {
		var c struct {
			Change string `json:"change"`
		}
		return e.Type == typ && json.Unmarshal(e.Data, &c) == nil && c.Change == change
	})
}

func (s *socket) send(frame any) {
	s.t.Helper()
	raw, err := json.Marshal(frame)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, raw); err != nil {
		s.t.Fatalf("sending a frame: %v", err)
	}
}

// stream is the practable exchange: POST with the code, then the address.
func stream(t testing.TB, s gateway.StreamView) (*websocket.Conn, error) {
	t.Helper()
	status, uri, err := exchange(t, s.URL, s.Token)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("exchange: status %d: %w", status, errRefused)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, uri, nil)
	if err != nil {
		if res != nil {
			return nil, fmt.Errorf("upgrade: status %d: %w", res.StatusCode, errRefused)
		}
		return nil, err
	}
	conn.SetReadLimit(10 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, nil
}

var errRefused = errors.New("refused")

func exchange(t testing.TB, address, code string) (status int, uri string, err error) {
	t.Helper()
	req, err := http.NewRequest("POST", address, nil)
	if err != nil {
		return 0, "", err
	}
	if code != "" {
		req.Header.Set("Authorization", code)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Timeout: 10 * time.Second, Transport: transport}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	var body struct {
		URI  string `json:"uri"`
		Code string `json:"code"`
	}
	err = json.NewDecoder(res.Body).Decode(&body)
	return res.StatusCode, body.URI, err
}
