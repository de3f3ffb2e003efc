package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
	"github.com/lodge-gateway/lodge/sessions"
)

// hosted gives a rig its code and returns a check that the code is still good.
func (l *lab) hosted() (stillGood func()) {
	l.Helper()
	view, err := l.gateway.CreateCode(l.Context(), lodge.DefaultTenant, gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	l.must(err)
	return func() {
		l.Helper()
		if _, err := l.sessions.Check(l.Context(), lodge.DefaultTenant, view.Code); err != nil {
			l.Errorf("the host's code is good no more: %v", err)
		}
	}
}

// cookies are what a browser holds now, to be sent by another.
func (b *browser) cookies() pair {
	u, err := url.Parse(b.url)
	b.must(err)
	var parts []string
	for _, c := range b.client.Jar.Cookies(u) {
		parts = append(parts, c.Name+"="+c.Value)
	}
	return pair{"Cookie", strings.Join(parts, "; ")}
}

// closed expects an open websocket to be closed with a status of ours.
func (s *socket) closed(want int) {
	s.t.Helper()
	if got := wstest.Closed(s.t, s.conn, deadline); int(got.Code) != want {
		s.t.Errorf("closed with %d %q, want %d", got.Code, got.Reason, want)
	}
}

func TestSec06_RevocationClosesSocketsAndRefusesNewOnes(t *testing.T) {
	l := newLab(t)
	good := l.hosted()
	ada, root := l.signedIn("ada"), l.signedIn("root")
	activity := ada.launch(ada.book("pend00-everyone"))
	messages := ada.messages()
	messages.caughtUp()
	stream := &socket{t, ada.stream(activity, "data")}

	ended := call[gateway.RevokedView](root, 200, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Person: ada.me().Person, Reason: "a lost laptop"})
	if ended.Ended < 2 {
		t.Errorf("ended %d sessions", ended.Ended)
	}
	messages.closed(4403)
	stream.closed(4403)
	ada.refused(401, "GET", "/api/v1/me", nil)
	if _, status := wstest.TryDial(t, ada.client, ada.address("/api/v1/messages/ws"), http.Header{"Origin": {l.url}}); status != 401 {
		t.Errorf("a new message socket: %d", status)
	}
	if got := ada.do("POST", activity.Streams[0].URL, nil, authorization(code(activity))); got.status < 400 {
		t.Errorf("the experiment code still opens a stream: %d", got.status)
	}
	good()
	root.me()
}

func TestSec08_PeopleEndTheirOwn(t *testing.T) {
	l := newLab(t)
	good := l.hosted()
	here, there, grace := l.signedIn("ada"), l.signedIn("ada"), l.signedIn("grace")
	booking := here.book("pend00-everyone")
	guest, other := l.lookUp(booking), l.lookUp(booking)

	// One that came by a reference ends those of its booking alone.
	if got := call[gateway.RevokedView](guest, 200, "POST", "/api/v1/me/sessions/revoke-others", nil); got.Ended != 1 {
		t.Errorf("the booking's others: %d ended", got.Ended)
	}
	other.refused(401, "GET", "/api/v1/me", nil)
	guest.me()
	there.me()

	if got := call[gateway.RevokedView](here, 200, "POST", "/api/v1/me/sessions/revoke-others", nil); got.Ended != 2 {
		t.Errorf("others: %d ended", got.Ended)
	}
	there.refused(401, "GET", "/api/v1/me", nil)
	guest.refused(401, "GET", "/api/v1/me", nil)
	here.me()
	good()

	again := l.signedIn("ada")
	if got := call[gateway.RevokedView](again, 200, "POST", "/api/v1/me/sessions/revoke-all", nil); got.Ended != 2 {
		t.Errorf("all: %d ended", got.Ended)
	}
	again.refused(401, "GET", "/api/v1/me", nil)
	here.refused(401, "GET", "/api/v1/me", nil)
	here.refused(401, "POST", "/api/v1/me/sessions/revoke-all", nil)
	grace.me()
	good()
}

func TestSec08_AdministratorsEndOnePersonsOrEveryones(t *testing.T) {
	l := newLab(t)
	good := l.hosted()
	root, ada, soren := l.signedIn("root"), l.signedIn("ada"), l.signedIn("soren")
	revoke := func(req gateway.RevokeRequest) int {
		t.Helper()
		return call[gateway.RevokedView](root, 200, "POST", "/api/v1/admin/sessions/revoke", req).Ended
	}

	if n := revoke(gateway.RevokeRequest{Session: ada.me().Session.ID}); n != 1 {
		t.Errorf("one: %d ended", n)
	}
	ada.refused(401, "GET", "/api/v1/me", nil)
	soren.me()

	ada.signIn("ada")
	if n := revoke(gateway.RevokeRequest{Person: soren.me().Person}); n != 1 {
		t.Errorf("a person's: %d ended", n)
	}
	soren.refused(401, "GET", "/api/v1/me", nil)
	ada.me()

	// No path by which sessions are ended touches a host.
	hosts := call[gateway.CodesView](root, 200, "GET", "/api/v1/admin/codes", nil).Codes
	if len(hosts) != 1 || hosts[0].Kind != "host" || hosts[0].Experiment != "pend00" || len(hosts[0].Scopes) == 0 {
		t.Fatalf("codes: %+v", hosts)
	}
	root.refused(422, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Session: hosts[0].ID})
	root.refused(422, "DELETE", "/api/v1/admin/sessions/"+hosts[0].ID, nil)
	if got := root.do("POST", "/admin/sessions/"+hosts[0].ID+"/end", url.Values{}); got.status < 400 {
		t.Errorf("the form ended a host: %d", got.status)
	}
	good()

	for _, req := range []gateway.RevokeRequest{{}, {All: true, Person: "p"}, {Session: "s", Person: "p"}} {
		root.refused(422, "POST", "/api/v1/admin/sessions/revoke", req)
	}
	root.refused(404, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Person: "nobody"})
	ada.refused(403, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{All: true})

	if n := revoke(gateway.RevokeRequest{All: true, Reason: "an incident"}); n < 2 {
		t.Errorf("all: %d ended", n)
	}
	for _, b := range []*browser{root, ada, soren} {
		b.refused(401, "GET", "/api/v1/me", nil)
	}
	good()
}

func TestCodesAreListedAndRevokedByThemselves(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	made := call[gateway.CodeView](root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:stats"}})
	ada.refused(403, "DELETE", "/api/v1/admin/codes/"+made.Session.ID, nil)
	root.refused(404, "DELETE", "/api/v1/admin/codes/"+ada.me().Session.ID, nil)
	ada.me()
	if got := root.do("DELETE", "/api/v1/admin/codes/"+made.Session.ID, nil); got.status != 204 {
		t.Fatalf("revoked with %d", got.status)
	}
	if _, err := l.sessions.Check(t.Context(), lodge.DefaultTenant, made.Code); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
		t.Errorf("the revoked code: %v", err)
	}
	if left := call[gateway.CodesView](root, 200, "GET", "/api/v1/admin/codes", nil).Codes; len(left) != 0 {
		t.Errorf("still listed: %+v", left)
	}
}

func TestSec09_CookieFromBeforeALogoutIsDeadOnEveryPath(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	guest := l.lookUp(booking)
	logins := []pair{ada.cookies(), guest.cookies()}
	for _, b := range []*browser{ada, guest} {
		if got := b.do("POST", "/logout", url.Values{}); got.status != 303 {
			t.Fatalf("logout: %d", got.status)
		}
	}
	for _, cookie := range logins {
		thief := l.browser()
		for _, path := range []string{
			"/auth/verify", "/api/v1/me", "/api/v1/me/sessions", "/api/v1/bookings", booking.Links.Self, "/api/v1/availability?group=everyone",
			"/api/v1/messages", "/api/v1/messages/events", "/api/v1/surveys", "/api/v1/registers",
			"/api/v1/admin/sessions", "/api/v1/admin/audit", "/api/v1/admin/persons", "/api/v1/admin/codes",
		} {
			thief.refused(401, "GET", path, nil, cookie)
		}
		for _, path := range []string{booking.Links.Self + "/activity", "/api/v1/me/sessions/revoke-others", "/api/v1/me/sessions/revoke-all"} {
			thief.refused(401, "POST", path, nil, cookie)
		}
		header := http.Header{"Origin": {l.url}, cookie.name: {cookie.value}}
		if _, status := wstest.TryDial(t, thief.client, thief.address("/api/v1/messages/ws"), header); status != 401 {
			t.Errorf("the message socket answers %d", status)
		}
		if got := thief.do("GET", "/launch/"+booking.ID, nil, cookie); got.status == 200 {
			t.Error("the launch page opens")
		}
	}
}

func TestSec10_DisabledAccountLosesEverything(t *testing.T) {
	l := newLab(t)
	good := l.hosted()
	root, ada := l.signedIn("root"), l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	guest := l.lookUp(booking)
	activity := ada.launch(booking)
	messages, stream := ada.messages(), &socket{t, ada.stream(activity, "data")}
	messages.caughtUp()
	person := ada.me().Person
	path := "/api/v1/admin/persons/" + person + "/disabled"
	ada.refused(403, "PUT", path, gateway.DisableRequest{Disabled: true})

	if got := call[gateway.PersonView](root, 200, "PUT", path, gateway.DisableRequest{Disabled: true, Reason: "left"}); !got.Disabled {
		t.Errorf("the answer: %+v", got)
	}
	messages.closed(4403)
	stream.closed(4403)
	ada.refused(401, "GET", "/api/v1/me", nil)
	guest.refused(401, "GET", "/api/v1/me", nil)
	good()

	// Neither door opens again.
	b := l.browser()
	if at := b.follow("/login/dev?login_hint=ada"); at == l.url+"/" {
		t.Error("signed in all the same")
	}
	b.refused(401, "GET", "/api/v1/me", nil)
	b.refused(403, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: booking.Surname, Reference: booking.Reference})
	b.refused(401, "GET", "/api/v1/me", nil)
	left, err := l.sessions.List(t.Context(), lodge.DefaultTenant, sessions.Filter{Person: lodge.PersonID(person)})
	l.must(err)
	if len(left) == 0 || slices.ContainsFunc(left, func(s sessions.Session) bool { return s.State(l.clock.Now()) == sessions.Active }) {
		t.Errorf("left alive: %+v", left)
	}

	call[gateway.PersonView](root, 200, "PUT", path, gateway.DisableRequest{})
	l.signedIn("ada").me()
	root.refused(422, "PUT", "/api/v1/admin/persons/"+root.me().Person+"/disabled", gateway.DisableRequest{Disabled: true})
	root.refused(404, "PUT", "/api/v1/admin/persons/nobody/disabled", gateway.DisableRequest{Disabled: true})
}

func TestPersonsAreFoundByAnyPart(t *testing.T) {
	l := newLab(t)
	root := l.signedIn("root")
	all := call[gateway.PersonsView](root, 200, "GET", "/api/v1/admin/persons", nil).Persons
	for query, want := range map[string]int{"LOVELACE": 1, "dev:gra": 1, all[0].ID: 1, "nobody at all": 0, "dev:": len(all)} {
		if got := call[gateway.PersonsView](root, 200, "GET", "/api/v1/admin/persons?q="+url.QueryEscape(query), nil).Persons; len(got) != want {
			t.Errorf("%q finds %d, want %d", query, len(got), want)
		}
	}
	var paged []gateway.PersonView
	for after := ""; ; {
		page := call[gateway.PersonsView](root, 200, "GET", "/api/v1/admin/persons?limit=2&after="+after, nil)
		paged = append(paged, page.Persons...)
		if after = page.After; after == "" {
			break
		}
	}
	if len(paged) != len(all) {
		t.Errorf("page by page %d, at once %d", len(paged), len(all))
	}
	root.refused(400, "GET", "/api/v1/admin/persons?limit=0", nil)
	l.signedIn("grace").refused(403, "GET", "/api/v1/admin/persons", nil)
}
