package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// TestSec44: what every answer of ours says about framing, sniffing, referrers
// and storing; pages and interface alike, and errors too.
func TestSec44_Headers(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	for _, path := range []string{
		"/", "/login", "/lookup", "/book", "/messages", "/attendance", "/sessions", "/bookings/" + booking.ID, "/launch/" + booking.ID, "/nothing",
		"/api/v1/me", "/api/v1/bookings", "/api/v1/nothing", "/api/v1/bookings/nothing", booking.Links.ICS, "/status",
	} {
		got := ada.do("GET", path, nil)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if h := got.header.Get(name); h != want {
				t.Errorf("%s: %s is %q, want %q", path, name, h, want)
			}
		}
		csp := got.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'", "script-src 'self';", "frame-src " + l.assets + ";"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy lacks %q: %s", path, part, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || got.header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	// A picture can be opened as a document; modules and stylesheets cannot.
	for path, policy := range map[string]bool{"/static/icon.svg": true, "/static/js/app.js": false, "/static/css/lodge.css": false} {
		got := ada.do("GET", path, nil)
		if got.header.Get("X-Content-Type-Options") != "nosniff" || (got.header.Get("Content-Security-Policy") != "") != policy {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	if got := ada.do("GET", "/healthz", nil, pair{"Host", "10.0.0.1:8080"}); got.status != 200 {
		t.Errorf("a probe by address: %d", got.status)
	}
}

// An address that is not there, or takes another method, says so in the form that
// goes with it.
func TestNothingThere(t *testing.T) {
	l := newLab(t)
	b := l.browser()
	for path, kind := range map[string]string{
		"/api/": "application/problem+json", "/api/v1/nothing": "application/problem+json", "/api/v2/me": "application/problem+json",
		"/auth/nothing": "application/problem+json", "/nothing": "text/html; charset=utf-8", "/bookings": "text/html; charset=utf-8",
	} {
		if got := b.do("GET", path, nil); got.status != 404 || got.header.Get("Content-Type") != kind {
			t.Errorf("%s: %d %s", path, got.status, got.header.Get("Content-Type"))
		}
	}
	for _, c := range []struct{ method, path, allow, kind string }{
		{"PUT", "/api/v1/me", "GET, HEAD", "application/problem+json"},
		{"PATCH", "/api/v1/bookings/x", "GET, HEAD, DELETE", "application/problem+json"},
		{"GET", "/api/v1/bookings/lookup/x", "", ""},
		{"GET", "/api/v1/messages/ticket", "POST, OPTIONS", "application/problem+json"},
		{"GET", "/logout", "POST", "text/html; charset=utf-8"},
		{"DELETE", "/healthz", "GET, HEAD", "application/problem+json"},
		{"PUT", "/session/pend00-data", "GET, POST, DELETE", "application/json"},
	} {
		got := b.do(c.method, c.path, nil)
		if c.allow == "" {
			if got.status != 404 {
				t.Errorf("%s %s: %d", c.method, c.path, got.status)
			}
			continue
		}
		if got.status != 405 || got.header.Get("Allow") != c.allow || got.header.Get("Content-Type") != c.kind {
			t.Errorf("%s %s: %d, Allow %q, %s", c.method, c.path, got.status, got.header.Get("Allow"), got.header.Get("Content-Type"))
		}
	}
	if got := b.do("HEAD", "/login", nil); got.status != 200 {
		t.Errorf("HEAD: %d", got.status)
	}
	if got := b.do("GET", "/api/openapi.yaml", nil); got.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("the document: %v", got.header)
	}
	b.do("GET", "/api/asyncapi.yaml", nil)
}

// A host name that is not ours is refused before anything is read.
func TestHostThatIsNotOurs(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	for _, host := range []string{"evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", strings.TrimPrefix(l.assets, "http://"), "OTHER.lodge.test."} {
		ada.refused(421, "GET", "/api/v1/me", nil, pair{"Host", host})
		ada.refused(421, "GET", "/", nil, pair{"Host", host})
	}
	if got := ada.do("GET", "/login", nil, pair{"Host", "OTHER.lodge.test"}); got.status != 200 {
		t.Errorf("in other case: %d", got.status)
	}
}

// TestSec25: the pages of listed origins may call what takes a code, to the
// letter and without credentials; nobody may call the rest.
func TestSec25_CORS(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.UIOrigins = []string{"https://UI.example/"} })
	b := l.browser()
	preflight := func(path, origin string) answer {
		return b.do("OPTIONS", path, nil, pair{"Origin", origin}, pair{"Access-Control-Request-Method", "POST"}, pair{"Access-Control-Request-Headers", "authorization"})
	}
	open := []string{"/session/pend00-data", "/status", "/api/v1/experiment", "/api/v1/experiment/extend", "/api/v1/messages/ticket", "/api/v1/messages"}
	closed := []string{"/api/v1/me", "/api/v1/bookings", "/api/v1/surveys", "/api/v1/bookings/lookup", "/auth/verify", "/logout"}
	for _, origin := range []string{l.assets, "https://ui.example"} {
		for _, path := range open {
			got := preflight(path, origin)
			if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != origin || got.header.Get("Vary") == "" {
				t.Errorf("%s from %s: %d %v", path, origin, got.status, got.header)
			}
			if got.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: with credentials", path)
			}
		}
		got := b.do("POST", "/session/pend00-data", nil, pair{"Origin", origin}, authorization("nonsense"))
		if got.status != 401 || got.header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("an error cannot be read from %s: %d %v", origin, got.status, got.header)
		}
	}
	for _, origin := range []string{"null", "https://evil.example", l.assets + "0", l.assets + ".evil.example", "http://ui.example", "https://UI.example", "https://a.ui.example", "*"} {
		for _, path := range open {
			if got := preflight(path, origin); got.header.Get("Access-Control-Allow-Origin") != "" || got.status < 400 {
				t.Errorf("%s from %s: %d %v", path, origin, got.status, got.header)
			}
		}
	}
	for _, path := range closed {
		if got := preflight(path, l.assets); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be called by other origins", path)
		}
	}
}

// TestSec24: a page of another site does nothing in one's name.
func TestSec24_CrossSiteRequests(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	for _, headers := range [][]pair{
		{{"Origin", "https://evil.example"}}, {{"Origin", "null"}}, {{"Origin", l.assets}},
		{{"Sec-Fetch-Site", "cross-site"}}, {{"Sec-Fetch-Site", "same-site"}, {"Origin", l.assets}},
	} {
		for _, c := range []struct{ method, path string }{
			{"POST", "/api/v1/bookings"}, {"DELETE", booking.Links.Self}, {"POST", booking.Links.Self + "/activity"}, {"POST", lookupPath},
			{"POST", "/logout"}, {"POST", "/continue"}, {"POST", "/bookings/" + booking.ID + "/cancel"}, {"POST", "/lookup"},
		} {
			if got := ada.do(c.method, c.path, nil, headers...); got.status != 403 {
				t.Errorf("%s %s with %v: %d", c.method, c.path, headers, got.status)
			}
		}
	}
	if got := call[gateway.BookingView](ada, 200, "GET", booking.Links.Self, nil); got.State != "booked" {
		t.Errorf("the booking is %s", got.State)
	}
	ada.launchFrom(booking, pair{"Origin", l.url}, pair{"Sec-Fetch-Site", "same-origin"})
}

func (b *browser) launchFrom(booking gateway.BookingView, headers ...pair) {
	b.Helper()
	call[gateway.Activity](b, 200, "POST", booking.Links.Self+"/activity", nil, headers...)
}

// TestSec26: a websocket with a cookie is for our own pages; with a ticket for
// those of listed origins and for programs. Refused before the upgrade.
func TestSec26_WebsocketOrigins(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	activity := ada.launch(ada.book("pend00-everyone"))
	open := func(uri string, header http.Header) int {
		t.Helper()
		conn, status := wstest.TryDial(t, ada.client, uri, header)
		if conn != nil {
			_ = conn.CloseNow() // of no interest any more
			return 101
		}
		return status
	}
	ws := "ws" + strings.TrimPrefix(l.url, "http") + "/api/v1/messages/ws"
	for _, c := range []struct {
		name   string
		header http.Header
		cookie int
		ticket int
	}{
		{"our own", http.Header{"Origin": {l.url}}, 101, 101},
		{"none", nil, 403, 101},
		{"a UI's", http.Header{"Origin": {l.assets}}, 403, 101},
		{"another site's", http.Header{"Origin": {"https://evil.example"}}, 403, 403},
		{"null", http.Header{"Origin": {"null"}}, 403, 403},
		{"one that begins like ours", http.Header{"Origin": {l.url + ".evil.example"}}, 403, 403},
		{"two", http.Header{"Origin": {l.url, "https://evil.example"}}, 403, 403},
		{"ours in a list", http.Header{"Origin": {"https://evil.example " + l.url}}, 403, 403},
	} {
		if got := open(ws, c.header); got != c.cookie {
			t.Errorf("%s with a cookie: %d, want %d", c.name, got, c.cookie)
		}
		ticket := call[gateway.TicketView](ada, 200, "POST", "/api/v1/messages/ticket", nil, authorization(code(activity)))
		if got := open(ticket.URI, c.header); got != c.ticket {
			t.Errorf("%s with a message ticket: %d, want %d", c.name, got, c.ticket)
		}
		stream := call[gateway.TicketView](ada, 200, "POST", activity.Streams[0].URL, nil, authorization(code(activity)))
		if got := open(stream.URI, c.header); got != c.ticket {
			t.Errorf("%s with a stream's ticket: %d, want %d", c.name, got, c.ticket)
		}
	}
	// However the upgrade is spelt.
	got := ada.do("GET", "/api/v1/messages/ws", nil, pair{"Connection", "Upgrade"}, pair{"Upgrade", "h2c, websocket"}, pair{"Sec-WebSocket-Version", "13"}, pair{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="})
	if got.status != 403 {
		t.Errorf("without an Origin, in a list of protocols: %d", got.status)
	}
	ada.refused(403, "GET", "/api/v1/messages/events", nil, pair{"Origin", "https://evil.example"})
}

// TestSec36: forwarded headers count from listed proxies only, the rightmost
// address that is no proxy; identity headers from outside never do (TestSec37).
func TestSec36_Addresses(t *testing.T) {
	for _, c := range []struct {
		name    string
		trusted func(*gateway.Config)
		sent    []pair
		want    string
	}{
		{"no proxy is listed", func(*gateway.Config) {}, []pair{from("203.0.113.7")}, "127.0.0.1"},
		{"a listed one", behindProxy, []pair{from("203.0.113.7")}, "203.0.113.7"},
		{"what the client wrote itself stands further left", behindProxy, []pair{from("198.51.100.1, 203.0.113.7")}, "203.0.113.7"},
		{"in several lines", behindProxy, []pair{from("198.51.100.1"), from("203.0.113.7, 127.0.0.1")}, "203.0.113.7"},
		{"no address", behindProxy, []pair{from("unknown")}, "127.0.0.1"},
		{"other headers", behindProxy, []pair{{"Forwarded", "for=203.0.113.7"}, {"X-Real-Ip", "203.0.113.7"}, {"X_Forwarded_For", "203.0.113.7"}}, "127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, c.trusted)
			ada := l.browser()
			for at, n := "/login/dev?login_hint=ada", 0; at != "/"; n++ {
				got := ada.do("GET", at, nil, c.sent...)
				if at = got.header.Get("Location"); n > 5 || got.status != 303 {
					t.Fatalf("%d at %s", got.status, at)
				}
			}
			if got := ada.me().Session.Address; got != c.want {
				t.Errorf("signed in from %q, want %q", got, c.want)
			}
		})
	}
}

// TestSec37: nobody says who they are by the headers that say it to others.
func TestSec37_IdentityHeaders(t *testing.T) {
	l := newLab(t)
	forged := []pair{{"X-Lodge-Subject", "root"}, {"X_Lodge_Subject", "root"}, {"x-lodge_Roles", "administrator@tenant"}, {"X-Lodge-Tenant", "other"}}
	got := l.browser().do("GET", "/auth/verify", nil, forged...)
	if got.status != 401 || got.header.Get("X-Lodge-Subject") != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	soren := l.signedIn("soren")
	got = soren.do("GET", "/auth/verify", nil, forged...)
	if name, err := url.PathUnescape(got.header.Get("X-Lodge-Name")); got.status != 200 || name != "Søren Ó Briain" || err != nil {
		t.Errorf("%d %v", got.status, got.header)
	}
	if got.header.Get("X-Lodge-Subject") != soren.me().Person || got.header.Get("X-Lodge-Tenant") != "default" ||
		got.header.Get("X-Lodge-Groups") != "everyone,physics-1" || got.header.Get("X-Lodge-Roles") != "" {
		t.Errorf("%v", got.header)
	}
	booked := soren.book("pend00-everyone")
	if got := l.lookUp(booked).do("GET", "/auth/verify", nil); got.status != 403 {
		t.Errorf("with a booking session: %d", got.status)
	}
}

// What is too large is refused before it is read whole.
func TestOversize(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	booking := ada.book("pend00-everyone")
	large := strings.Repeat("x", 70_000)
	for _, c := range []struct {
		who          *browser
		method, path string
		body         any
	}{
		{l.browser(), "POST", lookupPath, gateway.LookupRequest{Surname: large}},
		{ada, "POST", "/api/v1/bookings", gateway.BookRequest{Group: large}},
		{ada, "POST", booking.Links.Self + "/extend", `{"seconds":300}` + strings.Repeat(" ", 70_000) + "x"},
		{ada, "DELETE", booking.Links.Self, gateway.CancelRequest{Reason: large}},
		{grace, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: large}},
		{grace, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: strings.Repeat("é", 4001)}},
		{grace, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Title: strings.Repeat("é", 121), Text: "x"}},
		{grace, "POST", "/api/v1/surveys", gateway.SurveyRequest{To: "all", Title: large}},
		{grace, "POST", "/api/v1/registers", gateway.RegisterRequest{Title: large}},
	} {
		if p := c.who.refused(413, c.method, c.path, c.body); p.Code != "too-large" {
			t.Errorf("%s: %s", c.path, p.Code)
		}
	}
	for _, path := range []string{"/lookup", "/continue", "/book", "/teach/notices"} {
		if got := grace.do("POST", path, url.Values{"surname": {large}}); got.status != 413 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	grace.refused(422, "POST", "/api/v1/surveys", gateway.SurveyRequest{To: "all", Title: strings.Repeat("x", 201), Questions: []gateway.QuestionView{{Kind: "text", Text: "?"}}})
	socket := ada.messages()
	socket.caughtUp()
	socket.send(map[string]any{"type": "answer", "id": "1", "data": large})
	if closed := wstest.Closed(t, socket.conn, deadline); closed.Code != 1009 {
		t.Errorf("a frame over the limit: %v", closed)
	}
}

// TestSec38: whatever stands in a cookie, the answer is to sign in.
func TestSec38_MalformedCookies(t *testing.T) {
	l := newLab(t)
	good := l.signedIn("ada").cookie("lodge-dev")
	for _, value := range []string{
		"", "x", "lodge_log_", "lodge_log_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", `"quoted"`, "%00", "\xff\xfe", "lodge_exp_" + good[10:],
		good + "A", good[:len(good)-1], strings.ToUpper(good), strings.Repeat("A", 6000), "a=b=c", "lodge_log_" + strings.Repeat("=", 43),
	} {
		for _, name := range []string{"lodge-dev", "lodge-dev-booking"} {
			b := l.browser()
			cookie := pair{"Cookie", name + "=" + value}
			b.refused(401, "GET", "/api/v1/me", nil, cookie)
			b.refused(401, "GET", "/auth/verify", nil, cookie)
			if got := b.do("GET", "/sessions", nil, cookie); got.status != 303 {
				t.Errorf("%s=%q: the page answers %d", name, value, got.status)
			}
			if got := b.do("GET", "/", nil, cookie); got.status != 200 {
				t.Errorf("%s=%q: home answers %d", name, value, got.status)
			}
			if got := b.do("GET", "/login/dev", nil, cookie); got.status != 303 {
				t.Errorf("%s=%q: signing in answers %d", name, value, got.status)
			}
		}
	}
	// Of several that differ one was planted.
	l.browser().refused(401, "GET", "/api/v1/me", nil, pair{"Cookie", fmt.Sprintf("lodge-dev=%s; lodge-dev=%s", good, l.signedIn("soren").cookie("lodge-dev"))})
	if got := l.browser().do("GET", "/api/v1/me", nil, pair{"Cookie", fmt.Sprintf("lodge-dev=%s; lodge-dev=%s", good, good)}); got.status != 200 {
		t.Errorf("the same twice: %d", got.status)
	}
}
