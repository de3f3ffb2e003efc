package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// A browser is somebody's, or some program, with cookies of its own. What it sends
// and gets is held against the OpenAPI document.
type browser struct {
	*lab
	client *http.Client
}

// browser returns one that follows no redirect by itself.
func (l *lab) browser() *browser {
	l.Helper()
	jar, err := cookiejar.New(nil)
	l.must(err)
	transport := &http.Transport{}
	l.Cleanup(transport.CloseIdleConnections)
	return &browser{l, &http.Client{
		Jar: jar, Transport: &recorder{t: l.T, origin: l.url, next: transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// signedIn returns a browser in which an account of the issuer has signed in, by
// the real flow.
func (l *lab) signedIn(account string) *browser {
	l.Helper()
	b := l.browser()
	b.signIn(account)
	return b
}

func (b *browser) signIn(account string) {
	b.Helper()
	if at := b.follow("/login/dev?login_hint=" + account); at != b.url+"/" {
		b.Fatalf("%s ended up at %s", account, at)
	}
}

// follow follows redirects until there is none and returns where that is.
func (b *browser) follow(address string) string {
	b.Helper()
	for range 6 {
		got := b.do("GET", address, nil)
		if got.status != http.StatusSeeOther {
			return b.address(address)
		}
		address = got.header.Get("Location")
	}
	b.Fatal("too many redirects")
	return ""
}

func (b *browser) address(path string) string {
	if strings.HasPrefix(path, "/") {
		return b.url + path
	}
	return path
}

// pair is a header of a request. Host sets the request's.
type pair struct{ name, value string }

func authorization(code string) pair { return pair{"Authorization", code} }

// An answer is a response whose body was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request: body is nil, a form, text as it is, or anything that is
// sent as JSON.
func (b *browser) do(method, path string, body any, headers ...pair) answer {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var reader io.Reader
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
		contentType = ""
	case url.Values:
		reader, contentType = strings.NewReader(body.Encode()), "application/x-www-form-urlencoded"
	case string:
		reader = strings.NewReader(body)
	default:
		encoded, err := json.Marshal(body)
		b.must(err)
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, b.address(path), reader)
	b.must(err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for _, h := range headers {
		if h.name == "Host" {
			req.Host = h.value
		} else {
			req.Header.Add(h.name, h.value)
		}
	}
	res, err := b.client.Do(req)
	b.must(err)
	defer func() { b.must(res.Body.Close()) }()
	read, err := io.ReadAll(res.Body)
	b.must(err)
	return answer{res.StatusCode, res.Header, read}
}

// refused sends a request that is to be refused and returns the problem, which
// must tell a person something.
func (b *browser) refused(status int, method, path string, body any, headers ...pair) gateway.Problem {
	b.Helper()
	got := b.do(method, path, body, headers...)
	var p gateway.Problem
	if err := json.Unmarshal(got.body, &p); err != nil || got.status != status || p.Status != status {
		b.Fatalf("%s %s: %d %s, want a problem of status %d", method, path, got.status, got.body, status)
	}
	if len(p.Detail) < 20 || !strings.HasSuffix(p.Detail, ".") {
		b.Errorf("%s %s: %q is no help", method, path, p.Detail)
	}
	return p
}

// call sends a request and reads the JSON of its answer.
func call[T any](b *browser, status int, method, path string, body any, headers ...pair) (v T) {
	b.Helper()
	got := b.do(method, path, body, headers...)
	if got.status != status {
		b.Fatalf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
	}
	if err := json.Unmarshal(got.body, &v); err != nil {
		b.Fatalf("%s %s: %v in %s", method, path, err, got.body)
	}
	return v
}

func (b *browser) me() gateway.Me {
	b.Helper()
	return call[gateway.Me](b, 200, "GET", "/api/v1/me", nil)
}

// book books a slot of everyone's from now, for five minutes.
func (b *browser) book(slot string) gateway.BookingView {
	b.Helper()
	return call[gateway.BookingView](b, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: slot, Seconds: 300})
}

func (b *browser) launch(booking gateway.BookingView) gateway.Activity {
	b.Helper()
	return call[gateway.Activity](b, 200, "POST", booking.Links.Self+"/activity", nil)
}

// lookUp opens a booking by surname and reference in a browser of its own.
func (l *lab) lookUp(booking gateway.BookingView) *browser {
	l.Helper()
	b := l.browser()
	call[struct{ Booking gateway.BookingView }](b, 200, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: booking.Surname, Reference: booking.Reference})
	return b
}

// code returns the code of an activity's stream.
func code(a gateway.Activity) string { return a.Streams[0].Token }

// stream opens an activity's stream of a name.
func (b *browser) stream(a gateway.Activity, name string) *websocket.Conn {
	b.Helper()
	i := slices.IndexFunc(a.Streams, func(s gateway.StreamView) bool { return s.For == name })
	if i < 0 {
		b.Fatalf("no stream %s in %+v", name, a.Streams)
	}
	ticket := call[gateway.TicketView](b, 200, "POST", a.Streams[i].URL, nil, authorization(a.Streams[i].Token))
	return wstest.Dial(b, b.client, ticket.URI, nil)
}

// messages opens the message websocket as a page of the gateway does.
func (b *browser) messages() *socket {
	b.Helper()
	return b.socket("/api/v1/messages/ws", b.url)
}

// socket opens a message websocket as a page of an origin does; none when empty.
func (b *browser) socket(address, origin string) *socket {
	b.Helper()
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	return &socket{b.T, wstest.Dial(b, b.client, b.address(address), header)}
}

// A socket is an open message websocket.
type socket struct {
	t    testing.TB
	conn *websocket.Conn
}

// An event is what of a CloudEvent the tests look at.
type event struct {
	ID, Type, Subject string
	Topic             string `json:"lodgetopic"`
	Pos               string `json:"lodgepos"`
	Data              json.RawMessage
	Code              string `json:"lodgecode"`
	Error             string
}

// await reads on until an event that want accepts.
func (s *socket) await(what string, want func(event) bool) event {
	s.t.Helper()
	until := time.Now().Add(deadline)
	for time.Now().Before(until) {
		_, raw := wstest.Read(s.t, s.conn)
		var e event
		if err := json.Unmarshal([]byte(raw), &e); err != nil {
			s.t.Fatal(err)
		}
		if want(e) {
			return e
		}
	}
	s.t.Fatalf("never came: %s", what)
	return event{}
}

func (s *socket) caughtUp() {
	s.t.Helper()
	s.await("lodge.caught-up", func(e event) bool { return e.Type == "lodge.caught-up" })
}

// notice awaits a notice of a text.
func (s *socket) notice(text string) event {
	s.t.Helper()
	return s.await("the notice "+text, func(e event) bool {
		var n gateway.Notice
		return e.Type == "lodge.notice" && json.Unmarshal(e.Data, &n) == nil && n.Text == text
	})
}

func (s *socket) send(frame any) {
	s.t.Helper()
	raw, err := json.Marshal(frame)
	if err != nil {
		s.t.Fatal(err)
	}
	wstest.Write(s.t, s.conn, websocket.MessageText, string(raw))
}

// ask sends an answer or mark frame and returns the reply.
func (s *socket) ask(kind string, data any) event {
	s.t.Helper()
	s.send(map[string]any{"type": kind, "id": "1", "data": data})
	return s.await("the reply", func(e event) bool { return e.Type == "lodge.reply" && e.ID == "1" })
}
