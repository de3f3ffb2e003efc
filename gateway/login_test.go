package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// TestSec22: after signing in one is on a page of ours.
func TestSec22_ReturnAddresses(t *testing.T) {
	l := newLab(t)
	for _, to := range []string{
		"//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example/", "//evil.example/%2e%2e", "/%2f/evil.example", "/%5cevil.example",
		"/..//evil.example", "/%0d%0aLocation:%20https://evil.example", "/\r\nSet-Cookie:x=y", "javascript:alert(1)", "http:evil.example", "@evil.example",
		"/a/../..//evil.example", "\t//evil.example", "https:/evil.example", "/\u2028evil", strings.Repeat("/a", 2000),
	} {
		b := l.browser()
		if at := b.follow("/login/dev?login_hint=ada&return=" + url.QueryEscape(to)); at != l.url+"/" {
			t.Errorf("%q leads to %s", to, at)
		}
		got := b.do("POST", "/continue", url.Values{"return": {to}})
		if got.status != 303 || got.header.Get("Location") != "/" {
			t.Errorf("continue with %q leads to %s", to, got.header.Get("Location"))
		}
		if page := string(l.browser().do("GET", "/login?return="+url.QueryEscape(to), nil).body); strings.Contains(page, "evil.example") {
			t.Errorf("the sign-in page repeats %q", to)
		}
	}
	b := l.browser()
	if got := b.do("GET", "/bookings/x?y=z", nil); got.status != 303 || got.header.Get("Location") != "/login?return="+url.QueryEscape("/bookings/x?y=z") {
		t.Errorf("not signed in: %d to %s", got.status, got.header.Get("Location"))
	}
	if at := b.follow("/login/dev?login_hint=ada&return=%2Fmessages%3Flimit%3D5"); at != l.url+"/messages?limit=5" {
		t.Errorf("came back to %s", at)
	}
}

// TestSec13: the answer of an issuer is good once, in the browser that asked.
func TestSec13_SignInIsBoundToTheBrowser(t *testing.T) {
	l := newLab(t)
	ada := l.browser()
	toIssuer := ada.do("GET", "/login/dev?login_hint=ada", nil).header.Get("Location")
	callback := ada.do("GET", toIssuer, nil).header.Get("Location")
	if got := l.browser().do("GET", callback, nil); got.status != 401 {
		t.Errorf("in another browser: %d", got.status)
	}
	if got := ada.do("GET", callback, nil); got.status != 303 {
		t.Errorf("in its own: %d", got.status)
	}
	if got := ada.do("GET", callback, nil); got.status != 401 {
		t.Errorf("again: %d", got.status)
	}
	late := l.browser()
	callback = late.do("GET", late.do("GET", "/login/dev?login_hint=ada", nil).header.Get("Location"), nil).header.Get("Location")
	l.clock.pass(11 * time.Minute)
	if got := late.do("GET", callback, nil); got.status != 401 {
		t.Errorf("after eleven minutes: %d", got.status)
	}
	for _, path := range []string{"/login/nowhere", "/callback/nowhere?state=x&code=y"} {
		if got := l.browser().do("GET", path, nil); got.status != 404 && got.status != 401 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// TestSec04: every sign-in makes a new code; what the browser came with is dead,
// be it its own or planted.
func TestSec04_NewCodeAtSignIn(t *testing.T) {
	l := newLab(t)
	attacker, victim := l.signedIn("soren"), l.browser()
	planted := attacker.cookie("lodge-dev")
	home, err := url.Parse(l.url)
	l.must(err)
	victim.client.Jar.SetCookies(home, []*http.Cookie{{Name: "lodge-dev", Value: planted, Path: "/"}})
	if name := victim.me().Name; name != "Søren Ó Briain" {
		t.Fatalf("the planted cookie is %s's", name)
	}
	victim.signIn("ada")
	first := victim.cookie("lodge-dev")
	if first == planted || victim.me().Name != "Ada Lovelace" {
		t.Fatal("the planted code survives the sign-in")
	}
	attacker.refused(401, "GET", "/api/v1/me", nil)

	victim.signIn("ada")
	if victim.cookie("lodge-dev") == first {
		t.Error("the second sign-in keeps the code")
	}
	l.browser().refused(401, "GET", "/api/v1/me", nil, pair{"Cookie", "lodge-dev=" + first})
}

// TestSec09: the cookies from before a logout are good nowhere.
func TestSec09_LogoutKillsTheCookie(t *testing.T) {
	d, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	ada := l.signedIn("root")
	booking := l.signedIn("ada").book("pend00-everyone")
	call[struct{ Booking gateway.BookingView }](ada, 200, "POST", lookupPath, gateway.LookupRequest{Surname: "Lovelace", Reference: booking.Reference})
	old := pair{"Cookie", "lodge-dev=" + ada.cookie("lodge-dev") + "; lodge-dev-booking=" + ada.cookie("lodge-dev-booking")}
	if got := l.browser().do("GET", "/auth/verify", nil, old); got.status != 200 {
		t.Fatalf("before: %d", got.status)
	}
	socket := ada.messages()
	socket.caughtUp()

	if got := ada.do("POST", "/logout", url.Values{}); got.status != 303 || got.header.Get("Clear-Site-Data") == "" {
		t.Fatalf("logout: %d %v", got.status, got.header)
	}
	if closed := wstest.Closed(t, socket.conn, deadline); closed.Code != 4403 && closed.Code != 4401 {
		t.Errorf("the open socket ended with %v", closed)
	}
	for _, op := range d.operations {
		about := d.at("paths", op.path, strings.ToLower(op.method))
		if security, given := about["security"]; given && !strings.Contains(strings.Join(schemes(security), " "), "login") {
			continue
		}
		path := strings.NewReplacer("{id}", booking.ID).Replace(op.path)
		if got := l.browser().do(op.method, path, nil, old, pair{"Origin", l.url}); got.status != 401 {
			t.Errorf("%s %s: %d", op.method, op.path, got.status)
		}
	}
	for _, page := range []string{"/bookings/" + booking.ID, "/launch/" + booking.ID, "/book", "/messages", "/attendance", "/sessions", "/teach", "/rigs", "/admin", "/surveys/x"} {
		if got := l.browser().do("GET", page, nil, old); got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), "/login?") {
			t.Errorf("%s: %d", page, got.status)
		}
	}
}

// schemes are the names of an operation's security schemes.
func schemes(security any) []string {
	var names []string
	list, _ := security.([]any)
	for _, one := range list {
		scheme, _ := one.(map[string]any)
		for name := range scheme {
			names = append(names, name)
		}
	}
	return names
}

// TestSec05: a login that is left alone is narrowed: it goes on to hear and to
// answer, and does nothing else until somebody says that they are there. A page
// that refreshes itself is nobody.
func TestSec05_IdleLogin(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	l.clock.pass(59 * time.Minute)
	ada.me()
	l.clock.pass(59 * time.Minute)
	if got := ada.do("GET", "/api/v1/me", nil, pair{"Sec-Fetch-Dest", "empty"}); got.status != 200 {
		t.Fatalf("used an hour ago: %d", got.status)
	}
	ada.messages().caughtUp()
	soren := l.signedIn("soren")
	l.clock.pass(2 * time.Minute)

	got := ada.do("GET", "/api/v1/me", nil)
	if got.status != 401 || !strings.Contains(string(got.body), `"idle":true`) {
		t.Fatalf("left alone for over an hour: %d %s", got.status, got.body)
	}
	ada.refused(401, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend02-everyone", Seconds: 300})
	ada.refused(401, "GET", booking.Links.Self, nil)
	ada.refused(401, "GET", "/auth/verify", nil)
	for _, page := range []string{"/", "/bookings/" + booking.ID, "/messages"} {
		if got := ada.do("GET", page, nil); got.status != 401 || !strings.Contains(string(got.body), `action="/continue"`) {
			t.Errorf("%s: %d, and no way to continue", page, got.status)
		}
	}
	socket := ada.messages()
	socket.caughtUp()
	grace := l.signedIn("grace")
	survey := call[gateway.SurveyView](grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{To: "group:physics-1", Title: "How was it?", Questions: []gateway.QuestionView{{ID: "q", Kind: "text", Text: "Why?"}}})
	socket.await("the survey", func(e event) bool { return e.Type == "lodge.survey" })
	if reply := socket.ask("answer", map[string]any{"survey": survey.ID, "answers": map[string]gateway.Answer{"q": {Text: "Because."}}}); reply.Error != "" {
		t.Errorf("an answer over the socket: %+v", reply)
	}

	for range 3 { // an application behind a proxy, used by its scripts alone
		l.clock.pass(50 * time.Minute)
		if got := soren.do("GET", "/auth/verify", nil, pair{"Sec-Fetch-Dest", "empty"}); got.status != 200 {
			t.Errorf("through the proxy: %d", got.status)
		}
	}
	if got := ada.do("POST", "/continue", url.Values{"return": {"/messages"}}); got.status != 303 || got.header.Get("Location") != "/messages" {
		t.Errorf("continue: %d to %s", got.status, got.header.Get("Location"))
	}
	ada.me()
	l.clock.pass(30 * time.Minute)
	ada.me()
	l.clock.pass(7 * time.Hour)
	if got := ada.do("POST", "/continue", url.Values{}); got.status != 303 {
		t.Errorf("continue after the end: %d", got.status)
	}
	ada.refused(401, "GET", "/api/v1/me", nil) // the absolute end has come
}

// TestSec32: nothing of one tenant is there in another, whatever is presented.
func TestSec32_OtherTenant(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("root")
	student := l.signedIn("ada")
	booking := student.book("pend00-everyone")
	activity := student.launch(booking)
	host := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	there := pair{"Host", otherHost}

	ada.refused(401, "GET", "/api/v1/me", nil, there)
	ada.refused(401, "GET", "/api/v1/admin/sessions", nil, there)
	l.lookUp(booking).refused(401, "GET", booking.Links.Self, nil, there)
	student.refused(401, "GET", "/api/v1/experiment", nil, authorization(code(activity)), there)
	student.refused(401, "POST", "/api/v1/messages/ticket", nil, authorization(code(activity)), there)
	for _, c := range []string{code(activity), host} {
		if got := student.do("POST", "/session/pend00-data", nil, authorization(c), there); got.status != 401 {
			t.Errorf("a code exchanged in another tenant: %d", got.status)
		}
	}
	message := call[gateway.TicketView](student, 200, "POST", "/api/v1/messages/ticket", nil, authorization(code(activity)))
	stream := call[gateway.TicketView](student, 200, "POST", "/session/pend00-data", nil, authorization(code(activity)))
	for _, uri := range []string{message.URI, stream.URI} {
		got := student.do("GET", "http"+strings.TrimPrefix(uri, "ws"), nil, there,
			pair{"Connection", "Upgrade"}, pair{"Upgrade", "websocket"}, pair{"Sec-WebSocket-Version", "13"}, pair{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="})
		if got.status != 401 {
			t.Errorf("a ticket spent in another tenant: %d", got.status)
		}
	}
	if got := l.browser().do("POST", lookupPath, gateway.LookupRequest{Surname: "Lovelace", Reference: booking.Reference}, there); got.status != 404 {
		t.Errorf("a reference looked up in another tenant: %d", got.status)
	}
}

// Sign-ins begun from one address have a rate: each is a write that anybody can
// cause.
func TestSignInsHaveARate(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.SignInRate = 5 })
	b := l.browser()
	for range 5 {
		if got := b.do("GET", "/login/dev", nil); got.status != 303 {
			t.Fatalf("%d", got.status)
		}
	}
	if got := b.do("GET", "/login/dev", nil); got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("the sixth: %d", got.status)
	}
}
