package gateway_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// What instructors, issuers and the relay decide is recorded too.
func TestSec41_ClassroomIssuerAndRelayAreRecorded(t *testing.T) {
	l := newLab(t)
	ada, grace, root := l.signedIn("ada"), l.signedIn("grace"), l.signedIn("root")
	actor := func(b *browser) string { return "person:" + b.me().Person }
	teacher := actor(grace)

	survey := call[gateway.SurveyView](grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{To: "group:physics-1", Title: "S", Questions: []gateway.QuestionView{{ID: "q", Kind: "text", Text: "?"}}})
	l.recorded(audit.SurveyOpen, teacher, "survey:"+survey.ID)
	call[gateway.SurveyView](grace, 200, "POST", "/api/v1/surveys/"+survey.ID+"/close", nil)
	l.recorded(audit.SurveyClose, teacher, "survey:"+survey.ID)
	register := call[gateway.RegisterView](grace, 201, "POST", "/api/v1/registers", gateway.RegisterRequest{Title: "Hour", Group: "physics-1"})
	l.recorded(audit.RegisterOpen, teacher, "register:"+register.ID)
	call[gateway.RegisterView](grace, 200, "POST", "/api/v1/registers/"+register.ID+"/close", nil)
	l.recorded(audit.RegisterClose, teacher, "register:"+register.ID)

	service := call[gateway.CodeView](root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:admin"}})
	booking := ada.book("pend00-everyone")
	activity := ada.launch(booking)
	machine := l.browser()
	query := fmt.Sprintf("?bid=%s&exp=%d", booking.ID, l.clock.Now().Add(time.Hour).Unix())
	for path, action := range map[string]audit.Action{"/bids/deny": audit.BookingDeny, "/bids/allow": audit.BookingAllow} {
		if got := machine.do("POST", path+query, nil, authorization(service.Code)); got.status != 204 {
			t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		l.recorded(action, "service:"+service.Session.ID, "booking:"+booking.ID)
	}
	if got := machine.do("POST", "/bids/deny"+query, nil, authorization(code(activity))); got.status != 403 {
		t.Fatalf("a student denies: %d", got.status)
	}
	if last := l.entries(audit.Deny); last[len(last)-1].Object != "POST /bids/deny" || !strings.HasPrefix(last[len(last)-1].Actor, "session:") {
		t.Errorf("recorded as %+v", last[len(last)-1])
	}
	if got := machine.do("POST", "/session/pend00-data", nil, authorization("rubbish")); got.status != 401 {
		t.Fatalf("rubbish: %d", got.status)
	}
	l.recorded(audit.Deny, "nobody", "POST /session/pend00-data")

	again := ada.me().Session.ID
	ada.signIn("ada")
	l.recorded(audit.SessionEnd, actor(ada), "session:"+again)

	session := ada.me().Session.ID
	token, err := l.issuer.LogoutToken("lodge", "ada", "")
	l.must(err)
	for _, status := range []int{200, 400} { // the second is a replay
		if got := machine.do("POST", "/backchannel-logout/dev", url.Values{"logout_token": {token}}); got.status != status {
			t.Fatalf("back-channel logout: %d %s", got.status, got.body)
		}
	}
	l.recorded(audit.IssuerSignOut, "issuer:dev", "session:"+session)
	l.recorded(audit.Deny, "nobody", "POST /backchannel-logout/dev")
	l.mute(booking, gateway.LookupRequest{Surname: "\x00"}, service.Code, code(activity), token, "rubbish")
}

// Whoever is signed in cannot fill the trail with nothing.
func TestAuditRecordsNoIdleRepetition(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	for range 3 {
		ada.do("DELETE", booking.Links.Self, nil)
		call[gateway.RevokedView](ada, 200, "POST", "/api/v1/me/sessions/revoke-others", nil)
	}
	for action, want := range map[audit.Action]int{audit.Cancel: 1, audit.SessionsEnd: 0} {
		if got := len(l.entries(action)); got != want {
			t.Errorf("%s: %d entries, want %d", action, got, want)
		}
	}
}

// The administrator's page finds entries by who, what and when, page by page, and
// works as plain links.
func TestAuditPage(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	for range 60 {
		ada.refused(403, "GET", "/api/v1/admin/audit", nil)
	}
	if got := ada.do("GET", "/admin/audit", nil); got.status != 403 {
		t.Errorf("a student sees it: %d", got.status)
	}
	rows := func(query string) (html string, n int) {
		t.Helper()
		got := root.do("GET", "/admin/audit"+query, nil)
		if got.status != 200 {
			t.Fatalf("%s: %d", query, got.status)
		}
		return string(got.body), strings.Count(string(got.body), `data-testid="entry"`)
	}
	link := func(html, name string) string {
		_, rest, found := strings.Cut(html, `data-testid="`+name+`"`)
		at := strings.LastIndex(html[:len(html)-len(rest)], `href="`)
		if !found || at < 0 {
			return ""
		}
		href, _, _ := strings.Cut(html[at+len(`href="`):], `"`)
		return strings.TrimPrefix(strings.ReplaceAll(href, "&amp;", "&"), "/admin/audit")
	}
	first, n := rows("?action=deny&who=Lovelace")
	if n != 40 || link(first, "older") == "" || link(first, "newer") != "" || !strings.Contains(first, "Ada Lovelace") {
		t.Fatalf("%d entries on the first page, older %q, newer %q", n, link(first, "older"), link(first, "newer"))
	}
	second, n := rows(link(first, "older"))
	if n < 10 || link(second, "older") != "" || link(second, "newer") == "" {
		t.Errorf("%d entries on the second page, older %q, newer %q", n, link(second, "older"), link(second, "newer"))
	}
	if _, n := rows(link(second, "newer")); n != 40 {
		t.Errorf("%d entries on the page back", n)
	}
	now := l.clock.Now()
	for query, want := range map[string]int{
		"?who=person:" + root.me().Person + "&action=sign-in":                    1,
		"?action=sign-in&from=" + now.Add(time.Hour).Format("2006-01-02T15:04"):  0,
		"?action=sign-in&until=" + now.Add(time.Hour).Format("2006-01-02T15:04"): 2,
		"?who=nobody-of-that-name":                                               0,
	} {
		if _, n := rows(query); n != want {
			t.Errorf("%s: %d entries, want %d", query, n, want)
		}
	}
	if got := root.do("GET", "/admin/audit?from=yesterday", nil); got.status != 422 || !strings.Contains(string(got.body), "write it like") {
		t.Errorf("a time that is none: %d", got.status)
	}
	for query, want := range map[string]int{
		"who=person:" + ada.me().Person + "&limit=7": 7, "action=sign-in&before=2": 1, "object=issuer:dev": 2,
		"action=sign-in&from=" + url.QueryEscape(now.Add(time.Hour).Format(time.RFC3339)): 0,
	} {
		if got := call[gateway.AuditView](root, 200, "GET", "/api/v1/admin/audit?"+query, nil).Entries; len(got) != want {
			t.Errorf("API %s: %d entries, want %d", query, len(got), want)
		}
	}
	root.refused(400, "GET", "/api/v1/admin/audit?from=yesterday", nil)
	root.refused(400, "GET", "/api/v1/admin/audit?before=-1", nil)
}

// An administrator is shown what would end, and ends it by the form of that page.
func TestAdministratorConfirmsBeforeEnding(t *testing.T) {
	l := newLab(t)
	root, ada, soren := l.signedIn("root"), l.signedIn("ada"), l.signedIn("soren")
	booking := ada.book("pend00-everyone")
	guest := l.lookUp(booking)
	page := string(root.do("GET", "/admin?q=lovelace&kind=booking", nil).body)
	if !strings.Contains(page, guest.me().Session.ID) || strings.Contains(page, ada.me().Session.ID) || !strings.Contains(page, "Go-http-client") {
		t.Errorf("searched by person and kind: %s", page)
	}
	person := ada.me().Person
	at := "/admin/end?person=" + person
	if got := ada.do("GET", at, nil); got.status != 403 {
		t.Errorf("a student asks: %d", got.status)
	}
	if html := string(root.do("GET", at, nil).body); strings.Count(html, `data-testid="session"`) != 2 || !strings.Contains(html, "confirm-end") {
		t.Errorf("what would end: %s", html)
	}
	ada.me() // asking ends nothing
	if got := root.do("POST", "/admin/end", url.Values{"person": {person}, "reason": {"A lost laptop."}}); got.status != 303 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	ada.refused(401, "GET", "/api/v1/me", nil)
	guest.refused(401, "GET", "/api/v1/me", nil)
	soren.me()
	if last := l.entries(audit.SessionsEnd); len(last) != 1 || !strings.Contains(last[0].Reason, "2 sessions; A lost laptop.") {
		t.Errorf("recorded: %+v", last)
	}
	if got := root.do("POST", "/admin/end", url.Values{"session": {soren.me().Session.ID}}); got.status != 303 {
		t.Errorf("one: %d", got.status)
	}
	soren.refused(401, "GET", "/api/v1/me", nil)
	for _, form := range []url.Values{{}, {"all": {"true"}, "kind": {"login"}}, {"kind": {"host"}}} {
		if got := root.do("POST", "/admin/end", form); got.status != 422 {
			t.Errorf("%v: %d", form, got.status)
		}
		if got := root.do("GET", "/admin/end?"+form.Encode(), nil); got.status != 422 {
			t.Errorf("asked for %v: %d", form, got.status)
		}
	}
	if got := root.do("POST", "/admin/end", url.Values{"kind": {"login"}}); got.status != 303 {
		t.Errorf("everybody: %d", got.status)
	}
	root.refused(401, "GET", "/api/v1/me", nil)
}

// One's own sessions tell the device, the times and what is open.
func TestOwnSessionsTellDeviceAndSockets(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	agent := pair{"User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"}
	booking := ada.book("pend00-everyone")
	phone := l.browser()
	call[struct{ Booking gateway.BookingView }](phone, 200, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: booking.Surname, Reference: booking.Reference}, agent)
	ada.stream(ada.launch(booking), "data")
	kinds := map[string]gateway.SessionView{}
	wstest.Eventually(t, "the stream is counted", func() bool {
		for _, s := range call[gateway.SessionsView](ada, 200, "GET", "/api/v1/me/sessions", nil).Sessions {
			kinds[s.Kind] = s
		}
		s := kinds["experiment"].Sockets
		return s != nil && s.Streams == 1 && s.Messages == 0
	})
	if s := kinds["booking"]; s.Device != "Edge on Windows" || s.Address != "127.0.0.1" || s.Current {
		t.Errorf("the phone: %+v", s)
	}
	page := string(ada.do("GET", "/sessions", nil).body)
	for _, want := range []string{"Edge on Windows", "this one", "1 stream open now", "since ", "last used", "End all others"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
