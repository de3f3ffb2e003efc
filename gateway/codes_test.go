package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// makeCode has the administrator make a code.
func (l *lab) makeCode(req gateway.CodeRequest) string {
	l.Helper()
	return call[gateway.CodeView](l.signedIn("root"), 201, "POST", "/api/v1/admin/codes", req).Code
}

// cookie returns the value of a cookie that the browser holds.
func (b *browser) cookie(name string) string {
	b.Helper()
	req, err := http.NewRequest(http.MethodGet, b.url, nil)
	b.must(err)
	for _, c := range b.client.Jar.Cookies(req.URL) {
		if c.Name == name {
			return c.Value
		}
	}
	b.Fatalf("the browser has no cookie %s", name)
	return ""
}

// Every kind of code that is not the right one, wherever a code is taken.
func TestCodesThatAreNotTheRightOne(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	experiment := code(ada.launch(booking))
	spinner := code(ada.launch(ada.book("pend02-everyone")))
	host := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	service := l.makeCode(gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:stats"}})
	login := ada.cookie("lodge-dev")
	opened := l.lookUp(booking).cookie("lodge-dev-booking")

	const unknown = "lodge_exp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	const stream, status, remaining, extend, ticket = "POST /session/pend00-data", "GET /status", "GET /api/v1/experiment", "POST /api/v1/experiment/extend", "POST /api/v1/messages/ticket"
	nowhere := map[string]int{stream: 401, status: 401, remaining: 401, extend: 401, ticket: 401}
	for _, c := range []struct {
		name, code string
		want       map[string]int
	}{
		{"none", "", nowhere},
		{"malformed", "nonsense", nowhere},
		{"malformed with a prefix", "lodge_exp_short", nowhere},
		{"a signed token, where none are taken", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", nowhere},
		{"unknown", unknown, nowhere},
		{"of another kind by its prefix", "lodge_hst_" + strings.TrimPrefix(experiment, "lodge_exp_"), nowhere},
		{"in lower case", strings.ToLower(unknown), nowhere},
		{"of another experiment", spinner, map[string]int{stream: 403, status: 403, remaining: 200, ticket: 200}},
		{"a host's", host, map[string]int{stream: 200, status: 403, remaining: 403, extend: 403, ticket: 403}},
		{"a service's", service, map[string]int{stream: 403, status: 200, remaining: 403, extend: 403, ticket: 403}},
		{"a login's", login, map[string]int{stream: 403, status: 403, remaining: 403, extend: 403, ticket: 403}},
		{"a booking session's", opened, map[string]int{stream: 403, status: 403, remaining: 403, extend: 403, ticket: 403}},
		{"the right one", experiment, map[string]int{stream: 200, status: 403, remaining: 200, ticket: 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for to, want := range c.want {
				method, path, _ := strings.Cut(to, " ")
				var headers []pair
				if c.code != "" {
					headers = append(headers, authorization(c.code))
				}
				var body any
				if to == extend {
					body = gateway.ExtendRequest{Seconds: 300}
				}
				got := l.browser().do(method, path, body, headers...)
				if got.status != want {
					t.Errorf("%s: %d %s, want %d", to, got.status, got.body, want)
				}
				if c.code != "" && strings.Contains(string(got.body), c.code) {
					t.Errorf("%s repeats the code", to)
				}
			}
		})
	}
	if got := l.browser().do("GET", "/api/v1/experiment", nil, authorization("Bearer "+experiment)); got.status != 200 {
		t.Errorf("with a scheme: %d", got.status)
	}
}

// A code follows its booking: it stops opening streams with it, still says why,
// and receives messages until the message period is over.
func TestCodeOfABookingThatHasEnded(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	activity := ada.launch(ada.book("pend00-everyone"))
	visitor := l.browser()
	l.clock.pass(6 * time.Minute)

	if got := visitor.do("POST", activity.Streams[0].URL, nil, authorization(code(activity))); got.status != 401 {
		t.Errorf("the stream: %d %s", got.status, got.body)
	}
	if left := call[gateway.RemainingView](visitor, 200, "GET", "/api/v1/experiment", nil, authorization(code(activity))); left.State != "expired" {
		t.Errorf("state %s", left.State)
	}
	visitor.refused(401, "POST", "/api/v1/experiment/extend", gateway.ExtendRequest{Seconds: 300}, authorization(code(activity)))
	ticket := call[gateway.TicketView](visitor, 200, "POST", "/api/v1/messages/ticket", nil, authorization(code(activity)))
	visitor.socket(ticket.URI, l.assets).caughtUp()

	l.clock.pass(8 * 24 * time.Hour)
	visitor.refused(401, "POST", "/api/v1/messages/ticket", nil, authorization(code(activity)))
}

// TestSec27: tickets work once, for half a minute, on their own tenant and topic,
// and are refused before the upgrade.
func TestSec27_Tickets(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	activity := ada.launch(ada.book("pend00-everyone"))
	visitor := l.browser()
	message := func() string {
		return call[gateway.TicketView](visitor, 200, "POST", "/api/v1/messages/ticket", nil, authorization(code(activity))).URI
	}
	stream := func() string {
		return call[gateway.TicketView](visitor, 200, "POST", activity.Streams[0].URL, nil, authorization(code(activity))).URI
	}
	for name, issue := range map[string]func() string{"message": message, "stream": stream} {
		refused := func(why, uri string, header http.Header, want int) {
			t.Helper()
			if conn, status := wstest.TryDial(t, visitor.client, uri, header); conn != nil || status != want {
				t.Errorf("%s ticket, %s: %d, want %d", name, why, status, want)
			}
		}
		used := issue()
		wstest.Dial(t, visitor.client, used, nil)
		refused("used", used, nil, 401)
		old := issue()
		l.clock.pass(31 * time.Second)
		refused("too old", old, nil, 401)
		refused("made up", strings.SplitAfter(old, "=")[0]+"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", nil, 401)
		kept := issue()
		refused("from a page of another site", kept, http.Header{"Origin": {"https://evil.example"}}, 403)
		wstest.Dial(t, visitor.client, kept, nil) // which has not spent it
	}
	other := strings.Replace(stream(), "pend00-data", "pend00-video", 1)
	if conn, status := wstest.TryDial(t, visitor.client, other, nil); conn != nil || status != 401 {
		t.Errorf("a ticket of another topic: %d", status)
	}
	if conn, _ := wstest.TryDial(t, visitor.client, "ws"+strings.TrimPrefix(l.url, "http")+"/session/pend00-data?code="+code(activity), nil); conn != nil {
		t.Error("a code in the address opens a stream")
	}
	for range 70 { // far more than a page needs
		if got := visitor.do("POST", "/api/v1/messages/ticket", nil, authorization(code(activity))); got.status == 429 && got.header.Get("Retry-After") != "" {
			return
		}
	}
	t.Error("one session holds any number of tickets")
}
