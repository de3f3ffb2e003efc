package relay

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

func TestExchange(t *testing.T) {
	r := onNetwork(t, Options{BaseURL: func(*http.Request) string { return "wss://relay.example" }})
	r.access.allow("good", "pend00-data", true, true, time.Time{})
	r.access.allow("good", "lab/a/b", true, false, time.Time{})
	r.access.allow("nothing", "pend00-data", false, false, time.Time{})
	r.access.allow("late", "pend00-data", true, true, time.Now().Add(-time.Second))
	for _, session := range []string{"expired", "cancelled", "offline"} {
		r.access.allow(session, "pend00-data", true, true, time.Time{})
	}
	r.access.answers["expired"] = &Refusal{StatusExpired, "Over."}
	r.access.answers["cancelled"] = &Refusal{StatusRevoked, "Cancelled."}
	r.access.answers["offline"] = &Refusal{StatusOffline, "Off-line."}

	for name, tc := range map[string]struct {
		topic, authorization string
		status               int
		uri                  string // what the address starts with
	}{
		"bare code":            {"pend00-data", "good", 200, "wss://relay.example/session/pend00-data?code="},
		"bearer":               {"pend00-data", "Bearer good", 200, "wss://relay.example/session/pend00-data?code="},
		"bearer, other case":   {"pend00-data", "bearer  good ", 200, "wss://relay.example/session/pend00-data?code="},
		"topic with slashes":   {"lab/a/b", "good", 200, "wss://relay.example/session/lab/a/b?code="},
		"the same, escaped":    {"lab%2Fa%2fb", "good", 200, "wss://relay.example/session/lab/a/b?code="},
		"no code":              {"pend00-data", "", 401, ""},
		"empty bearer":         {"pend00-data", "Bearer ", 401, ""},
		"wrong code":           {"pend00-data", "bad", 401, ""},
		"malformed code":       {"pend00-data", "eyJhbGciOiJub25lIn0.e30.", 401, ""},
		"other scheme":         {"pend00-data", "Basic Z29vZA== x", 401, ""},
		"endless code":         {"pend00-data", strings.Repeat("x", maxCode+1), 401, ""},
		"unknown topic":        {"pend01-data", "good", 401, ""},
		"impossible topic":     {"pend00.data", "good", 400, ""},
		"no topic":             {"", "good", 400, ""},
		"expired session":      {"pend00-data", "expired", 401, ""},
		"cancelled booking":    {"pend00-data", "cancelled", 403, ""},
		"experiment off-line":  {"pend00-data", "offline", 409, ""},
		"no right at all":      {"pend00-data", "nothing", 403, ""},
		"end already reached":  {"pend00-data", "late", 401, ""},
		"with a trailing path": {"pend00-data/", "good", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := r.post(t, tc.topic, tc.authorization)
			if status != tc.status {
				t.Fatalf("status %d, want %d; %v", status, tc.status, answer)
			}
			if status == http.StatusOK {
				if ticket, ok := strings.CutPrefix(answer["uri"], tc.uri); !ok || len(ticket) != 43 {
					t.Errorf("uri = %q", answer["uri"])
				}
				return
			}
			if answer["code"] != strconv.Itoa(tc.status) || answer["message"] == "" {
				t.Errorf("answer = %v", answer)
			}
			if tc.authorization != "" && len(tc.authorization) > 8 && strings.Contains(answer["message"], tc.authorization) {
				t.Error("the answer repeats the code")
			}
		})
	}

	t.Run("store down", func(t *testing.T) {
		r.access.change("", func() { r.access.down = context.DeadlineExceeded })
		defer r.access.change("", func() { r.access.down = nil })
		if status, _ := r.post(t, "pend00-data", "good"); status != http.StatusServiceUnavailable {
			t.Errorf("status %d", status)
		}
	})
	t.Run("two headers", func(t *testing.T) {
		req, _ := http.NewRequest(http.MethodPost, r.url+"/session/pend00-data", nil)
		req.Header["Authorization"] = []string{"good", "good"}
		if status, _ := r.do(t, req); status != http.StatusUnauthorized {
			t.Errorf("status %d", status)
		}
	})
	t.Run("other method", func(t *testing.T) {
		req, _ := http.NewRequest(http.MethodPut, r.url+"/session/pend00-data", nil)
		if status, _ := r.do(t, req); status != http.StatusMethodNotAllowed {
			t.Errorf("status %d", status)
		}
	})
}

// Practable let a code be used for 90 seconds, and refused after the upgrade
// with a socket that stayed open and silent.
func TestSec27_TicketIsForOneTopicOnceAndForSeconds(t *testing.T) {
	clock := &movedClock{now: time.Now()}
	r := start(t, clock, Options{})
	r.access.allow("ada", "a", true, true, time.Time{})
	r.access.allow("ada", "b", true, true, time.Time{})
	dial := func(uri string) int {
		t.Helper()
		conn, status := wstest.TryDial(t, r.client, uri, nil)
		if conn != nil {
			_ = conn.CloseNow() // only the status matters
		}
		return status
	}

	uri := r.uri(t, "a", "ada")
	if strings.Contains(uri, "ada") {
		t.Error("the address holds the code")
	}
	if got := dial(uri); got != http.StatusSwitchingProtocols {
		t.Fatalf("first use: %d", got)
	}
	if got := dial(uri); got != http.StatusUnauthorized {
		t.Errorf("second use: %d", got)
	}
	if got := dial(strings.Replace(r.uri(t, "a", "ada"), "/session/a", "/session/b", 1)); got != http.StatusUnauthorized {
		t.Errorf("on another topic: %d", got)
	}
	uri = r.uri(t, "a", "ada")
	clock.move(30 * time.Second)
	if got := dial(uri); got != http.StatusUnauthorized {
		t.Errorf("after 30 s: %d", got)
	}
	uri = r.uri(t, "a", "ada")
	clock.move(29 * time.Second)
	if got := dial(uri); got != http.StatusSwitchingProtocols {
		t.Errorf("after 29 s: %d", got)
	}
	for _, bad := range []string{"", "?code=", "?code=x", "?code=ada", "?code=%zz"} {
		if got := dial("ws" + strings.TrimPrefix(r.url, "http") + "/session/a" + bad); got != http.StatusUnauthorized {
			t.Errorf("code %q: %d", bad, got)
		}
	}
}

func TestSec27_OneOfManyWinsATicket(t *testing.T) {
	r := onNetwork(t, Options{})
	r.access.allow("ada", "a", true, true, time.Time{})
	uri := r.uri(t, "a", "ada")
	var won sync.Map
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			conn, _, err := websocket.Dial(ctx, uri, nil)
			if err == nil {
				won.Store(i, true)
				_ = conn.CloseNow() // it has won
			}
		})
	}
	all.Wait()
	n := 0
	won.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d of 8 opened one address", n)
	}
}

func TestSec27_StoresHoldNoTicket(t *testing.T) {
	ts := newTickets(maxTicketLife)
	code, err := ts.issue(Grant{Session: "s", Topic: "a"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for id := range ts.byID {
		if strings.Contains(string(id[:]), code) {
			t.Error("the ticket is kept in clear")
		}
	}
	if _, ok := ts.spend(code, "", "a", time.Now()); !ok {
		t.Error("the ticket is not good")
	}
	if len(ts.byID) != 0 || len(ts.holding) != 0 {
		t.Error("a spent ticket is kept")
	}
}

func TestSec29_TicketsOfASessionAreBounded(t *testing.T) {
	ts := newTickets(maxTicketLife)
	now := time.Now()
	for range maxTickets {
		if _, err := ts.issue(Grant{Session: "s"}, now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ts.issue(Grant{Session: "s"}, now); lodge.CodeOf(err) != lodge.CodeTooMany {
		t.Errorf("err = %v", err)
	}
	if _, err := ts.issue(Grant{Session: "other"}, now); err != nil {
		t.Errorf("another session: %v", err)
	}
	now = now.Add(maxTicketLife)
	if _, err := ts.issue(Grant{Session: "s"}, now); err != nil {
		t.Errorf("after their life: %v", err)
	}
	ts.sweep(now.Add(maxTicketLife))
	if len(ts.byID)+len(ts.order)+len(ts.holding) != 0 {
		t.Error("something is left after the sweep")
	}
}

func TestSec26_OriginIsCompared(t *testing.T) {
	const ui = "https://ui.example"
	r := onNetwork(t, Options{OriginAllowed: func(req *http.Request) bool { return req.Header.Get("Origin") == ui }})
	r.access.allow("ada", "a", true, true, time.Time{})
	for name, tc := range map[string]struct {
		origins []string
		status  int
	}{
		"a host, without":   {nil, 101},
		"the UI's":          {[]string{ui}, 101},
		"foreign":           {[]string{"https://evil.example"}, 403},
		"the relay's own":   {[]string{r.url}, 403},
		"null":              {[]string{"null"}, 403},
		"empty":             {[]string{""}, 403},
		"like the UI's":     {[]string{"https://ui.example.evil.example"}, 403},
		"two, good and bad": {[]string{ui, "https://evil.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			conn, status := wstest.TryDial(t, r.client, r.uri(t, "a", "ada"), http.Header{"Origin": tc.origins})
			if status != tc.status {
				t.Errorf("status %d, want %d", status, tc.status)
			}
			if conn != nil {
				_ = conn.CloseNow() // only the status matters
			}
		})
	}
}

func TestSec26_NoOriginIsAllowedByDefault(t *testing.T) {
	r := onNetwork(t, Options{})
	r.access.allow("ada", "a", true, true, time.Time{})
	if _, status := wstest.TryDial(t, r.client, r.uri(t, "a", "ada"), http.Header{"Origin": {r.url}}); status != http.StatusForbidden {
		t.Errorf("status %d", status)
	}
}

// What is refused between the exchange and the opening is refused as an HTTP
// answer, never by a socket that opens and is closed.
func TestSec27_RefusedBeforeTheUpgrade(t *testing.T) {
	for name, tc := range map[string]struct {
		alter  func(*fakeAccess)
		status int
	}{
		"expired":    {func(a *fakeAccess) { a.answers["ada"] = &Refusal{StatusExpired, "Over."} }, 401},
		"ended":      {func(a *fakeAccess) { a.ends["ada"] = time.Now().Add(-time.Second) }, 401},
		"unknown":    {func(a *fakeAccess) { a.answers["ada"] = lodge.E(lodge.CodeUnauthenticated, "Unknown.") }, 401},
		"cancelled":  {func(a *fakeAccess) { a.answers["ada"] = &Refusal{StatusRevoked, "Cancelled."} }, 403},
		"no rights":  {func(a *fakeAccess) { a.rights["ada"] = [2]bool{} }, 403},
		"off-line":   {func(a *fakeAccess) { a.answers["ada"] = &Refusal{StatusOffline, "Off-line."} }, 409},
		"store down": {func(a *fakeAccess) { a.down = lodge.E(lodge.CodeUnavailable, "Down.") }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			r := onNetwork(t, Options{})
			r.access.allow("ada", "a", true, true, time.Time{})
			uri := r.uri(t, "a", "ada")
			r.access.change("ada", func() { tc.alter(r.access) })
			if _, status := wstest.TryDial(t, r.client, uri, nil); status != tc.status {
				t.Errorf("status %d, want %d", status, tc.status)
			}
			if n := r.access.watching(); n != 0 {
				t.Errorf("%d watches left", n)
			}
			if s := r.Stats(); s.Peers != 0 || s.Rooms != 0 {
				t.Errorf("left behind: %+v", s)
			}
		})
	}
}

func TestPlainGetDoesNotSpendTheTicket(t *testing.T) {
	r := onNetwork(t, Options{})
	r.access.allow("ada", "a", true, true, time.Time{})
	uri := r.uri(t, "a", "ada")
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	u.Scheme = "http"
	req, _ := http.NewRequest(http.MethodGet, u.String(), nil)
	if status, _ := r.do(t, req); status != http.StatusUpgradeRequired {
		t.Errorf("status %d", status)
	}
	wstest.Dial(t, r.client, uri, nil)
}
