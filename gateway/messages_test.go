package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

type messagePage struct{ Messages []gateway.MessageView }

// texts are the texts of the notices in somebody's history, newest first.
func (b *browser) texts(query string) []string {
	b.Helper()
	var out []string
	for _, m := range call[messagePage](b, 200, "GET", "/api/v1/messages"+query, nil).Messages {
		if data, ok := m.Data.(map[string]any); ok && m.Type == "lodge.notice" {
			out = append(out, fmt.Sprint(data["text"]))
		}
	}
	return out
}

func (b *browser) sendsTo(to, text string, headers ...pair) gateway.Accepted {
	b.Helper()
	return call[gateway.Accepted](b, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: to, Text: text}, headers...)
}

// A key is known however many messages came after it, and of requests that race
// with it one message comes.
func TestKeysAreKnownForLong(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.SendRate = 10_000 })
	grace := l.signedIn("grace")
	key := pair{"Idempotency-Key", "the first"}
	first := grace.sendsTo("all", "first", key)
	for i := range 300 {
		grace.sendsTo("all", fmt.Sprint("later ", i))
	}
	if again := grace.sendsTo("all", "first", key); again != first || again.Position == "" {
		t.Errorf("%+v, then %+v", first, again)
	}
	grace.refused(422, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "other"}, key)
	grace.refused(422, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "first", Priority: "safety"}, key)
	grace.refused(422, "POST", "/api/v1/messages", gateway.MessageRequest{To: "group:physics-1", Text: "first"}, key)
	call[gateway.ReceiptsView](grace, 200, "GET", "/api/v1/messages/"+first.ID+"/receipts", nil)

	var group sync.WaitGroup
	answers := make([]answer, 16)
	for i := range answers {
		group.Go(func() {
			to := []string{"all", "group:physics-1"}[i%2]
			answers[i] = grace.do("POST", "/api/v1/messages", gateway.MessageRequest{To: to, Text: "raced"}, pair{"Idempotency-Key", "raced"})
		})
	}
	group.Wait()
	taken := map[string]int{}
	for _, got := range answers {
		var done gateway.Accepted
		switch got.status {
		case 202:
			l.must(json.Unmarshal(got.body, &done))
			taken[done.ID+" "+done.Topic+" "+done.Position]++
		case 422:
		default:
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	came := strings.Join(append(grace.texts("?topic=all"), grace.texts("?topic=group:physics-1")...), " ")
	if len(taken) != 1 || strings.Count(came, "raced") != 1 {
		t.Errorf("%v: %s", taken, came)
	}
}

// A service sends to its audience, with its code alone.
func TestServicesSend(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.SendRate = 3 })
	made := call[gateway.CodeView](l.signedIn("root"), 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{
		Kind: "service", Scopes: []string{"messages:send"}, Audience: []string{"group:physics-1", "experiment:pend00"}, Name: "Timetable",
	})
	plain := l.service(lodge.DefaultTenant, []string{"introspect"}, nil)
	everyone := l.service(lodge.DefaultTenant, []string{"messages:send"}, []string{"all"})
	b, ada := l.browser(), l.signedIn("ada")
	socket := ada.messages()
	socket.caughtUp()
	code := authorization("Bearer " + made.Code)
	done := b.sendsTo("group:physics-1", "From a service.", code, pair{"Idempotency-Key", "k"})
	var n gateway.Notice
	l.must(json.Unmarshal(socket.notice("From a service.").Data, &n))
	if n.From != "Timetable" || n.By != "" || n.ToName != "group Physics 1" {
		t.Errorf("%+v", n)
	}
	if again := b.sendsTo("group:physics-1", "From a service.", code, pair{"Idempotency-Key", "k"}); again != done {
		t.Errorf("%+v, then %+v", done, again)
	}
	l.recorded(audit.Send, "service:"+made.Session.ID, "group:physics-1")
	if r := call[gateway.ReceiptsView](b, 200, "GET", "/api/v1/messages/"+done.ID+"/receipts", nil, code); r.Sent != 2 || r.Acknowledge {
		t.Errorf("%+v", r)
	}
	for _, to := range []string{"all", "group:everyone", "user:" + ada.me().Person, "experiment:pend01"} {
		b.refused(403, "POST", "/api/v1/messages", gateway.MessageRequest{To: to, Text: "x"}, code)
	}
	b.refused(403, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "x"}, authorization("Bearer "+plain.Code))
	// The code counts and not the cookie beside it.
	l.signedIn("grace").refused(403, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "x"}, code)
	l.signedIn("grace").refused(401, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "x"}, authorization("nonsense"))
	b.sendsTo("user:"+ada.me().Person, "To one.", authorization(everyone.Code))

	b.sendsTo("experiment:pend00", "Second.", code)
	b.sendsTo("experiment:pend00", "Third.", code)
	if got := b.do("POST", "/api/v1/messages", gateway.MessageRequest{To: "experiment:pend00", Text: "Fourth."}, code); got.status != 429 || got.header.Get("Retry-After") != "20" {
		t.Errorf("over the rate: %d %v", got.status, got.header)
	}
	for _, bad := range []gateway.CodeRequest{
		{Kind: "service", Scopes: []string{"messages:send"}}, {Kind: "service", Scopes: []string{"messages:read"}},
		{Kind: "service", Scopes: []string{"messages:send"}, Audience: []string{"group:nothing"}}, {Kind: "service", Scopes: []string{"introspect"}, Audience: []string{"all"}},
		{Kind: "host", Experiment: "pend00", Name: "x"}, {Kind: "service", Scopes: []string{"messages:send"}, Audience: []string{"all"}, Name: strings.Repeat("x", 61)},
	} {
		if _, err := l.gateway.CreateCode(t.Context(), lodge.DefaultTenant, bad); lodge.CodeOf(err) != lodge.CodeRefused {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// With a code, pages of listed origins may send; with cookies, none but our own.
func TestSendingAcrossOrigins(t *testing.T) {
	l := newLab(t)
	service := l.service(lodge.DefaultTenant, []string{"messages:send"}, []string{"all"})
	grace, b := l.signedIn("grace"), l.browser()
	const path = "/api/v1/messages"
	ask := pair{"Access-Control-Request-Method", "POST"}
	for origin, status := range map[string]int{l.assets: 204, "https://evil.example": 403} {
		got := b.do(http.MethodOptions, path, nil, pair{"Origin", origin}, ask)
		if got.status != status || (got.header.Get("Access-Control-Allow-Origin") != "") != (status == 204) || got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", origin, got.status, got.header)
		}
	}
	b.sendsTo("all", "From a page.", pair{"Origin", l.assets}, authorization(service.Code))
	grace.refused(403, "POST", path, gateway.MessageRequest{To: "all", Text: "x"}, pair{"Origin", l.assets}, pair{"Sec-Fetch-Site", "cross-site"})
	grace.refused(403, "POST", path, gateway.MessageRequest{To: "all", Text: "x"}, pair{"Origin", "https://evil.example"})
}

// Expired notices are in no history; others around them are.
func TestNoticesExpireFromHistory(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	grace.sendsTo("all", "stays")
	call[gateway.Accepted](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "goes", Priority: "important", Expires: "2026-05-04T11:30", Zone: "Europe/Berlin"})
	if got := ada.texts(""); !slices.Equal(got, []string{"stays", "goes"}) && !slices.Equal(got, []string{"goes", "stays"}) {
		t.Errorf("%q", got)
	}
	l.clock.pass(30 * time.Minute) // to 9:30 UTC, which is half past eleven in Berlin
	if got := ada.texts(""); !slices.Equal(got, []string{"stays"}) {
		t.Errorf("%q", got)
	}
	if got := ada.texts("?topic=all"); !slices.Equal(got, []string{"stays"}) {
		t.Errorf("%q", got)
	}
	if got := call[gateway.WaitingView](ada, 200, "GET", "/api/v1/messages/waiting", nil); len(got.Messages) != 0 {
		t.Errorf("%+v", got)
	}
	grace.sendsTo("all", "comes after it")
	replayed := ""
	ada.messages().await("the last of what is replayed", func(e event) bool {
		replayed += string(e.Data)
		return strings.Contains(string(e.Data), "comes after it") || e.Type == "lodge.gap"
	})
	if strings.Contains(replayed, "goes") || !strings.Contains(replayed, "stays") || strings.Contains(replayed, "since") {
		t.Errorf("replayed: %s", replayed)
	}
	if page := string(grace.do("GET", "/teach", nil).body); !strings.Contains(page, "expired") {
		t.Error("the sender does not see that it expired")
	}
	for _, bad := range []gateway.MessageRequest{
		{To: "all", Text: "x", Expires: "soon"}, {To: "all", Text: "x", Expires: "2026-05-04T09:30:00Z"}, {To: "all", Text: "x", Expires: "2026-05-04T23:00"},
		{To: "all", Text: "x", Expires: "2026-05-04T23:00", Zone: "Mars/Olympus"}, {To: "all", Text: "x", Expires: "2026-05-04T23:00", Zone: "Local"},
		{To: "all", Text: "x", At: "2026-05-04T09:29:59Z"}, {To: "all", Text: "x", At: "2028-05-04T09:59:59Z"}, {To: "all", Text: "x", Expires: "2030-05-04T09:59:59Z"},
		{To: "all", Text: "x", At: "2026-05-05T10:00:00Z", Expires: "2026-05-05T10:00:00Z"},
		{To: "all", Text: "x", At: "2027-03-28T01:30", Zone: "Europe/London"}, // the clocks go from 01:00 to 02:00
	} {
		grace.refused(422, "POST", "/api/v1/messages", bad)
	}
}

// What is important waits until its reader says so, in order, and the sender sees
// it; safety comes first.
func TestImportantNoticesWaitToBeAcknowledged(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	booking := ada.book("pend00-everyone")
	activity := ada.launch(booking)
	send := func(text, priority string) gateway.Accepted {
		l.clock.pass(time.Second)
		return call[gateway.Accepted](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: text, Priority: priority})
	}
	waiting := func(b *browser, headers ...pair) (ids []string) {
		t.Helper()
		for _, m := range call[gateway.WaitingView](b, 200, "GET", "/api/v1/messages/waiting", nil, headers...).Messages {
			ids = append(ids, m.ID)
		}
		return ids
	}
	first, plain, safety := send("Read me.", "important"), send("By the way.", "info"), send("Leave the room.", "safety")
	want := []string{safety.ID, first.ID}
	if got := waiting(ada); !slices.Equal(got, want) {
		t.Errorf("%v instead of %v", got, want)
	}
	if got := waiting(l.browser(), authorization(code(activity))); !slices.Equal(got, want) {
		t.Errorf("with a code: %v instead of %v", got, want)
	}
	if got := waiting(grace); len(got) != 0 {
		t.Errorf("the sender is asked herself: %v", got)
	}
	ada.refused(409, "POST", "/api/v1/messages/"+safety.ID+"/acknowledge", nil)
	for _, id := range []string{first.ID, plain.ID, "nothing", first.ID} {
		if got := ada.do("POST", "/api/v1/messages/"+id+"/acknowledge", nil); got.status != 204 {
			t.Errorf("%s: %d %s", id, got.status, got.body)
		}
	}
	if got := waiting(ada); !slices.Equal(got, []string{safety.ID}) {
		t.Errorf("after the first: %v", got)
	}
	home := string(ada.do("GET", "/", nil).body)
	if !strings.Contains(home, "Leave the room.") || !strings.Contains(home, "/messages/"+safety.ID+"/acknowledge") {
		t.Error("the page does not ask")
	}
	for _, one := range []struct {
		id    string
		state string
	}{{first.ID, "acknowledged"}, {safety.ID, "sent"}} {
		r := call[gateway.ReceiptsView](grace, 200, "GET", "/api/v1/messages/"+one.id+"/receipts?limit=1000", nil)
		for _, p := range r.People {
			if p.Name == "Ada Lovelace" && p.State != one.state || !r.Acknowledge {
				t.Errorf("%s: %+v", one.id, r)
			}
		}
	}
	if got := ada.do("POST", "/messages/"+safety.ID+"/acknowledge", nil); got.status != 303 {
		t.Errorf("the form: %d", got.status)
	}
	if got := waiting(ada); len(got) != 0 {
		t.Errorf("after both: %v", got)
	}
	// A reference reads what it may, and the code of another kind nothing.
	if got := waiting(l.lookUp(booking)); len(got) != 0 {
		t.Errorf("the same person by reference: %v", got)
	}
	l.browser().refused(403, "GET", "/api/v1/messages/waiting", nil, authorization(l.service(lodge.DefaultTenant, []string{"introspect"}, nil).Code))
}

// Receipts come in pages, whose numbers are of everybody.
func TestReceiptsComeInPages(t *testing.T) {
	l := newLab(t)
	grace := l.signedIn("grace")
	done := grace.sendsTo("all", "Hello.")
	path := "/api/v1/messages/" + done.ID + "/receipts"
	whole := call[gateway.ReceiptsView](grace, 200, "GET", path, nil)
	if whole.After != "" || len(whole.People) != whole.Sent || whole.Sent < 3 {
		t.Fatalf("%+v", whole)
	}
	var people []gateway.ReceiptView
	for after := ""; ; {
		page := call[gateway.ReceiptsView](grace, 200, "GET", path+"?limit=2&after="+after, nil)
		if page.Sent != whole.Sent {
			t.Errorf("%+v", page)
		}
		people = append(people, page.People...)
		if after = page.After; after == "" {
			break
		}
	}
	if !slices.Equal(people, whole.People) {
		t.Errorf("%+v in pages, %+v at once", people, whole.People)
	}
	for _, bad := range []string{"?limit=0", "?limit=1001", "?limit=x"} {
		grace.refused(400, "GET", path+bad, nil)
	}
}

// A member replies to the instructors of a group, where notice and catalogue
// allow it.
func TestReplies(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.SendRate = 4 })
	ada, grace, root, linus := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("root"), l.signedIn("linus")
	if topics := grace.me().Topics; !slices.Contains(topics, "instructors:physics-1") || !slices.Contains(topics, "instructors:everyone") {
		t.Errorf("%v", topics)
	}
	for _, b := range []*browser{ada, root, linus} {
		if slices.Contains(b.me().Topics, "instructors:physics-1") {
			t.Errorf("%s hears replies", b.me().Name)
		}
	}
	socket := grace.messages()
	socket.caughtUp()
	open := call[gateway.Accepted](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "group:physics-1", Title: "Hand-in", Text: "Who is late?", Replies: true})
	shut := grace.sendsTo("group:physics-1", "No questions.")
	reply := func(b *browser, id, text string, headers ...pair) answer {
		t.Helper()
		return b.do("POST", "/api/v1/messages/"+id+"/replies", gateway.ReplyRequest{Text: text}, headers...)
	}
	key := pair{"Idempotency-Key", "k"}
	first, second := reply(ada, open.ID, "I am.", key), reply(ada, open.ID, "I am.", key)
	if first.status != 202 || string(first.body) != string(second.body) {
		t.Fatalf("%d %s, then %d %s", first.status, first.body, second.status, second.body)
	}
	heard := socket.notice("I am.")
	var n gateway.Notice
	l.must(json.Unmarshal(heard.Data, &n))
	if heard.Topic != "instructors:physics-1" || n.InReplyTo != open.ID || n.About != "Hand-in" || n.From != "Ada Lovelace" || n.ToName != "instructors of Physics 1" {
		t.Errorf("%+v %+v", heard, n)
	}
	var done gateway.Accepted
	l.must(json.Unmarshal(first.body, &done))
	socket.send(map[string]string{"type": "read", "topic": heard.Topic, "pos": heard.Pos})
	wstest.Eventually(t, "the reply is read", func() bool {
		r := call[gateway.ReceiptsView](ada, 200, "GET", "/api/v1/messages/"+done.ID+"/receipts", nil)
		return r.Sent == 1 && r.Read == 1 && r.People[0].Name == grace.me().Name
	})
	ada.refused(404, "GET", "/api/v1/messages?topic=instructors:physics-1", nil)
	if got := grace.texts("?topic=instructors:physics-1"); !slices.Equal(got, []string{"I am."}) {
		t.Errorf("%q", got)
	}
	if page := string(grace.do("GET", "/teach", nil).body); !strings.Contains(page, "I am.") {
		t.Error("the inbox does not show it")
	}
	if page := string(ada.do("GET", "/messages", nil).body); strings.Contains(page, "I am.") || !strings.Contains(page, "/messages/"+open.ID+"/replies") {
		t.Error("the page offers no reply, or shows the inbox")
	}
	for name, c := range map[string]struct {
		by       *browser
		id, text string
		status   int
	}{
		"not allowed":    {ada, shut.ID, "x", 422},
		"no text":        {ada, open.ID, " ", 422},
		"too long":       {ada, open.ID, strings.Repeat("x", 4001), 413},
		"nothing there":  {ada, "nothing", "x", 404},
		"not a member":   {linus, open.ID, "x", 404},
		"another key":    {ada, open.ID, "x", 422},
		"nobody":         {l.browser(), open.ID, "x", 401},
		"a long id":      {ada, strings.Repeat("x", 65), "x", 404},
		"not instructor": {ada, done.ID, "x", 404},
	} {
		var headers []pair
		if name == "another key" {
			headers = append(headers, key)
		}
		if got := reply(c.by, c.id, c.text, headers...); got.status != c.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for range 3 {
		if got := reply(ada, open.ID, "Again."); got.status != 202 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if got := reply(ada, open.ID, "Too much."); got.status != 429 || got.header.Get("Retry-After") != "15" {
		t.Errorf("%d %v", got.status, got.header)
	}
	for _, bad := range []gateway.MessageRequest{
		{To: "all", Text: "x", Replies: true}, {To: "group:everyone", Text: "x", Replies: true}, {To: "instructors:physics-1", Text: "x"},
	} {
		grace.refused(422, "POST", "/api/v1/messages", bad)
	}
}
