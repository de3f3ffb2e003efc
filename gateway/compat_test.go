package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/relay"
)

// The tests of this file follow what practable's clients see of their relay, call
// by call and field by field, with their tokens and with Lodge's codes alike.

const compatTopic = "pend00-data"

var (
	student = wanted{booking: "b1", topic: compatTopic, scopes: []string{"read", "write"}}
	rigHost = wanted{host: true, topic: compatTopic, scopes: []string{"read", "write"}}
	admin   = wanted{scopes: []string{relay.ScopeAdmin}}
	stats   = wanted{scopes: []string{relay.ScopeStats}}
)

func TestCompatSession(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		for name, w := range map[string]wanted{
			"plain topic":       student,
			"topic with slash":  {booking: "b1", topic: "lab/a/b-data", scopes: []string{"read"}},
			"topic with per-ct": {booking: "b1", topic: "a%b_c", scopes: []string{"write"}},
			"a host's":          rigHost,
		} {
			t.Run(name, func(t *testing.T) {
				code := issue(w)
				path := "/session/" + strings.ReplaceAll(w.topic, "%", "%25")
				for _, authorization := range []string{code, "Bearer " + code} {
					a := n.call(t, http.MethodPost, path, authorization)
					var got map[string]string
					if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK {
						t.Fatalf("%d %s", a.status, a.body)
					}
					want := "ws" + strings.TrimPrefix(n.url, "http") + path + "?code="
					if ticket, ok := strings.CutPrefix(got["uri"], want); !ok || len(ticket) < 22 || len(got) != 1 {
						t.Errorf("got %v, want a uri that begins with %s", got, want)
					}
					if strings.Contains(a.body, code) {
						t.Error("the code itself is in the address")
					}
				}
			})
		}
	})
}

// Every refusal has the same status and the same words for both kinds.
func TestCompatRefusalsAreAlike(t *testing.T) {
	seen := map[string]map[string]compatAnswer{}
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		answers := map[string]compatAnswer{}
		seen[t.Name()] = answers
		try := func(name string, status int, method, path, code string) {
			t.Helper()
			a := n.call(t, method, path, code)
			if a.status != status {
				t.Errorf("%s: %d %s, want %d", name, a.status, a.body, status)
			}
			if a.message(t); a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: headers %v", name, a.header)
			}
			answers[name] = a
		}
		session := "/session/" + compatTopic
		good := issue(student)
		last := good[len(good)-2:]
		forged := good[:len(good)-2] + map[bool]string{true: "AA", false: "BA"}[last != "AA"]

		try("no code", 401, http.MethodPost, session, "")
		try("rubbish", 401, http.MethodPost, session, "rubbish")
		try("dots", 401, http.MethodPost, session, "a.b.c")
		try("forged", 401, http.MethodPost, session, forged)
		try("forged, status", 401, http.MethodGet, "/status", forged)
		try("forged, deny", 401, http.MethodPost, "/bids/deny?"+bidQuery("b1", time.Hour), forged)
		try("forged, given up", 401, http.MethodDelete, session, forged)
		try("endless", 401, http.MethodPost, session, strings.Repeat("x", 9000))
		try("other topic", 403, http.MethodPost, "/session/pend01-data", good)
		try("impossible topic", 400, http.MethodPost, "/session/pend00.data", good)
		try("expired", 401, http.MethodPost, session, issue(wanted{booking: "b1", topic: compatTopic, scopes: []string{"read"}, lasts: -time.Minute}))
		try("not begun", 403, http.MethodPost, session, issue(wanted{booking: "b1", topic: compatTopic, scopes: []string{"read"}, begins: 10 * time.Minute}))
		try("status without the scope", 403, http.MethodGet, "/status", good)
		try("deny without the scope", 403, http.MethodPost, "/bids/deny?"+bidQuery("b1", time.Hour), good)
		try("list without the scope", 403, http.MethodGet, "/bids/allow", issue(stats))
		try("stats topic without right", 403, http.MethodPost, "/session/stats", good)
		try("another's topic given up", 403, http.MethodDelete, "/session/pend01-data", good)

		boss := issue(admin)
		for _, query := range []string{"", "bid=b1", "exp=1767225600", "bid=&exp=1767225600", "bid=b1&exp=soon", "bid=b1&exp=0", "bid=b1&exp=1767225600000000", "bid=a&bid=b&exp=1767225600", "bid=%00&exp=1767225600"} {
			try("deny?"+query, 400, http.MethodPost, "/bids/deny?"+query, boss)
			try("allow?"+query, 400, http.MethodPost, "/bids/allow?"+query, boss)
		}
		try("admin opens no topic", 403, http.MethodPost, session, boss)

		if a := n.call(t, http.MethodPost, "/bids/deny?"+bidQuery("b2", time.Hour), boss); a.status != 204 {
			t.Fatalf("deny: %d %s", a.status, a.body)
		}
		try("denied", 403, http.MethodPost, session, issue(wanted{booking: "b2", topic: compatTopic, scopes: []string{"read"}}))
		mine := issue(student)
		if a := n.call(t, http.MethodDelete, session, mine); a.status != 204 {
			t.Fatalf("given up: %d %s", a.status, a.body)
		}
		try("given up", 403, http.MethodPost, session, mine)
		n.denials.down.Store(true)
		try("store down", 503, http.MethodPost, session, good)
		n.denials.down.Store(false)
	})
	jwt, opaque := seen[t.Name()+"/jwt"], seen[t.Name()+"/opaque"]
	if len(jwt) == 0 || !slices.Equal(slices.Sorted(maps.Keys(jwt)), slices.Sorted(maps.Keys(opaque))) {
		t.Fatal("the two were not tried alike")
	}
	for name, a := range jwt {
		b := opaque[name]
		if a.status != b.status || a.body != b.body || a.header.Get("WWW-Authenticate") != b.header.Get("WWW-Authenticate") {
			t.Errorf("%s: a token is answered %d %s, a code %d %s", name, a.status, a.body, b.status, b.body)
		}
	}
}

func bookingIDs(t *testing.T, a compatAnswer) []string {
	t.Helper()
	var got map[string][]string
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 || len(got) != 1 || got["booking_ids"] == nil {
		t.Fatalf("%d %s is not {booking_ids}", a.status, a.body)
	}
	return got["booking_ids"]
}

// Practable's relay panicked on the last step.
func TestCompatFaultDenyAllowReconnect(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		boss, ada, rig := issue(admin), issue(student), issue(rigHost)
		bids := func(what string, denied, allowed []string) {
			t.Helper()
			if got := bookingIDs(t, n.call(t, http.MethodGet, "/bids/deny", boss)); !slices.Equal(got, denied) {
				t.Errorf("%s: denied %q, want %q", what, got, denied)
			}
			if got := bookingIDs(t, n.call(t, http.MethodGet, "/bids/allow", boss)); !slices.Equal(got, allowed) {
				t.Errorf("%s: allowed %q, want %q", what, got, allowed)
			}
		}
		change := func(list string) {
			t.Helper()
			if a := n.call(t, http.MethodPost, "/bids/"+list+"?"+bidQuery("b1", time.Hour), boss); a.status != 204 || a.body != "" {
				t.Fatalf("%s: %d %q", list, a.status, a.body)
			}
		}
		host := n.connect(t, compatTopic, rig)
		conn := n.connect(t, compatTopic, ada)
		other := n.connect(t, compatTopic, issue(wanted{booking: "b11", topic: compatTopic, scopes: []string{"read"}}))
		unopened := n.uri(t, compatTopic, ada)
		bids("at first", []string{}, []string{})

		for range 3 {
			change("deny")
			n.closed(t, conn, relay.StatusRevoked)
			bids("denied", []string{"b1"}, []string{})
			if a := n.call(t, http.MethodPost, "/session/"+compatTopic, ada); a.status != 403 {
				t.Errorf("a denied booking gets %d %s", a.status, a.body)
			}
			if c, status := wstest.TryDial(t, n.client, unopened, nil); c != nil || status < 400 {
				t.Errorf("an address from before the denial opens with %d", status)
			}
			change("allow")
			bids("allowed", []string{}, []string{"b1"})
			conn, unopened = n.connect(t, compatTopic, ada), n.uri(t, compatTopic, ada)
			wstest.Write(t, host, websocket.MessageText, "hello")
			if _, got := wstest.Read(t, conn); got != "hello" {
				t.Errorf("got %q", got)
			}
			// The hardware's and another booking's connections have stayed.
			if _, got := wstest.Read(t, other); got != "hello" {
				t.Errorf("got %q", got)
			}
		}
		// What ended long ago is accepted and denies nothing.
		if a := n.call(t, http.MethodPost, "/bids/deny?"+bidQuery("b9", -time.Hour), boss); a.status != 204 {
			t.Errorf("late news: %d %s", a.status, a.body)
		}
		bids("at last", []string{}, []string{"b1"})
	})
}

func TestSec23_HostsAreNotHitByABookingsDenial(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		rig := issue(rigHost)
		host := n.connect(t, compatTopic, rig)
		if a := n.call(t, http.MethodPost, "/bids/deny?"+bidQuery("b1", time.Hour), issue(admin)); a.status != 204 {
			t.Fatal(a.status, a.body)
		}
		if a := n.call(t, http.MethodPost, "/session/"+compatTopic, issue(student)); a.status != 403 {
			t.Errorf("the booking gets %d", a.status)
		}
		second := n.connect(t, compatTopic, rig)
		wstest.Write(t, second, websocket.MessageText, "still there")
		if _, got := wstest.Read(t, host); got != "still there" {
			t.Errorf("got %q", got)
		}
	})
}

func TestCompatStatus(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		reader := student
		reader.scopes, reader.lasts = []string{"read"}, 30*time.Minute
		n.connect(t, compatTopic, issue(reader))
		a := n.call(t, http.MethodGet, "/status", issue(stats))
		var list []map[string]any
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.status != 200 || len(list) != 1 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		compatReport(t, list[0], map[string]string{
			"topic": "topic", "scopes": "scopes", "can_read": "canRead", "can_write": "canWrite", "connected_at": "connected",
			"expires_at": "expiresAt", "remote_addr": "remoteAddr", "user_agent": "userAgent",
		})
	})
}

// compatReport checks the report about a reader of half an hour; names gives each
// field its camelCase name.
func compatReport(t *testing.T, got map[string]any, names map[string]string) {
	t.Helper()
	for snake, camel := range names {
		value, ok := got[snake]
		if !ok {
			t.Errorf("no %s in %v", snake, got)
			continue
		}
		right := false
		switch camel {
		case "topic":
			right = value == compatTopic
		case "scopes":
			list, isList := value.([]any)
			right = isList && len(list) == 1 && list[0] == "read"
		case "canRead":
			right = value == true
		case "canWrite":
			right = value == false
		case "connected", "expiresAt":
			text, _ := value.(string)
			at, err := time.Parse(time.RFC3339, text)
			until := time.Until(at)
			right = err == nil && (camel == "connected" && until <= 0 && until > -time.Minute || camel == "expiresAt" && until > 29*time.Minute && until <= 30*time.Minute)
		case "remoteAddr":
			text, _ := value.(string)
			right = strings.HasPrefix(text, "127.0.0.1")
		case "userAgent":
			text, _ := value.(string)
			right = strings.HasPrefix(text, "Go-http-client")
		}
		if !right {
			t.Errorf("%s is %v", snake, value)
		}
	}
}

func TestCompatStatsTopic(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		reports := func(conn *websocket.Conn) map[string]map[string]any {
			t.Helper()
			kind, data := wstest.Read(t, conn)
			var list []map[string]any
			if err := json.Unmarshal([]byte(data), &list); err != nil || kind != websocket.MessageText {
				t.Fatalf("%v %q: %v", kind, data, err)
			}
			by := map[string]map[string]any{}
			for _, one := range list {
				by[one["topic"].(string)] = one
			}
			return by
		}
		conn := n.connect(t, "stats", issue(wanted{booking: "monitor", topic: "stats", scopes: []string{"read"}}))
		if got := reports(conn); got["stats"] == nil || len(got) != 1 {
			t.Errorf("at first: %v", got)
		}
		reader := student
		reader.scopes, reader.lasts = []string{"read"}, 30*time.Minute
		n.connect(t, compatTopic, issue(reader))
		second := n.connect(t, "stats", issue(wanted{booking: "monitor", topic: "stats", scopes: []string{"read", "write"}}))
		reports(second)
		wstest.Write(t, second, websocket.MessageText, "nonsense that goes nowhere")
		wstest.Write(t, conn, websocket.MessageText, `{"cmd":"update"}`)
		got := reports(conn)
		names := map[string]string{}
		for _, name := range []string{"canRead", "canWrite", "connected", "expiresAt", "remoteAddr", "scopes", "topic", "userAgent"} {
			names[name] = name
		}
		if got[compatTopic] == nil {
			t.Fatalf("got %v", got)
		}
		compatReport(t, got[compatTopic], names)
		if len(got[compatTopic]) != len(names) {
			t.Errorf("more than practable's fields: %v", got[compatTopic])
		}
		// Without being asked: one comes every few seconds.
		if got := reports(second); got["stats"] == nil {
			t.Errorf("got %v", got)
		}
	})
}

// An experiment's code that happens to name the topic does not read who is there.
func TestSec23_StatsTopicIsNotAnExperiments(t *testing.T) {
	n := newCompatLab(t)
	w := wanted{booking: "b1", topic: "pend00-data", scopes: []string{"read", "read:stats", "write:stats", relay.ScopeStats, relay.ScopeAdmin}}
	code := compatOpaque(t, n, w)
	for _, call := range []struct{ method, path string }{
		{http.MethodPost, "/session/stats"}, {http.MethodGet, "/status"}, {http.MethodPost, "/bids/deny?" + bidQuery("b1", time.Hour)},
	} {
		if a := n.call(t, call.method, call.path, code); a.status != http.StatusForbidden {
			t.Errorf("%s %s: %d", call.method, call.path, a.status)
		}
	}
}

func TestCompatMessages(t *testing.T) {
	eachCredential(t, func(t *testing.T, n *compatNode, issue func(wanted) string) {
		host := n.connect(t, compatTopic, issue(rigHost))
		ada := n.connect(t, compatTopic, issue(student))
		reader := n.connect(t, compatTopic, issue(wanted{booking: "b2", topic: compatTopic, scopes: []string{"read"}}))
		writer := n.connect(t, compatTopic, issue(wanted{booking: "b3", topic: compatTopic, scopes: []string{"write"}}))

		wstest.Write(t, reader, websocket.MessageText, "without the right to write")
		// Each message stays a message of its own, of its own type, in order.
		for i := range 40 {
			kind, text := websocket.MessageText, strings.Repeat("x", i)
			if i%2 == 1 {
				kind = websocket.MessageBinary
			}
			wstest.Write(t, ada, kind, text)
		}
		for name, conn := range map[string]*websocket.Conn{"host": host, "reader": reader} {
			for i := range 40 {
				want := websocket.MessageText
				if i%2 == 1 {
					want = websocket.MessageBinary
				}
				if kind, got := wstest.Read(t, conn); kind != want || len(got) != i {
					t.Fatalf("%s: message %d is %v of %d bytes", name, i, kind, len(got))
				}
			}
		}
		wstest.Write(t, host, websocket.MessageText, "from the host")
		if _, got := wstest.Read(t, ada); got != "from the host" { // and not her own
			t.Errorf("ada got %q", got)
		}
		// Who may not read is sent nothing: the next that comes is the end.
		if a := n.call(t, http.MethodPost, "/bids/deny?"+bidQuery("b3", time.Hour), issue(admin)); a.status != 204 {
			t.Fatal(a.status, a.body)
		}
		if _, data, err := writer.Read(t.Context()); websocket.CloseStatus(err) != relay.StatusRevoked {
			t.Errorf("the writer was sent %q, %v", data, err)
		}
	})
}
