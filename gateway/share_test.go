package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// shared is a booking of ada's that is under way and shared with soren.
type shared struct {
	*lab
	ada, soren *browser
	booking    gateway.BookingView
	ids        map[string]string // person by name
	sent       int
}

func newShared(t *testing.T, change ...func(*gateway.Config)) *shared {
	t.Helper()
	l := newLab(t, change...)
	s := &shared{lab: l, ada: l.signedIn("ada"), soren: l.signedIn("soren")}
	s.booking = s.ada.book("pend00-everyone")
	s.ids = map[string]string{"ada": s.ada.me().Person, "soren": s.soren.me().Person}
	link := call[gateway.ShareView](s.ada, 201, "POST", s.path("share"), nil)
	view := call[gateway.BookingView](s.soren, 200, "POST", "/api/v1/bookings/join", gateway.PartnerJoinRequest{Code: link.Code})
	if view.ID != s.booking.ID || !view.Shared || view.Reference != "" || view.Surname != "" || !slices.Equal(view.May, []string{"see", "launch"}) {
		t.Fatalf("joined %+v", view)
	}
	return s
}

func (s *shared) path(of string) string { return s.booking.Links.Self + "/" + of }

func (s *shared) steer(b *browser, action, to string) gateway.ControlView {
	s.Helper()
	return call[gateway.ControlView](b, 200, "POST", s.path("control"), gateway.ControlRequest{Action: action, To: s.ids[to]})
}

// drives waits until what one sends reaches the host, and what the other sends has
// not for three messages in a row, on connections that stay open.
func (s *shared) drives(host <-chan string, with, without *websocket.Conn) {
	s.Helper()
	clean := 0
	s.eventually("control has changed hands", func() bool {
		s.sent++
		wstest.Write(s, without, websocket.MessageText, "without")
		wstest.Write(s, with, websocket.MessageText, strconv.Itoa(s.sent))
		clean++
		unheard := time.After(200 * time.Millisecond) // the connections follow a moment later
		for {
			select {
			case got := <-host:
				if got == strconv.Itoa(s.sent) {
					return clean > 3
				}
				if got == "without" {
					clean = 0
				}
			case <-unheard:
				clean = 0
				return false
			}
		}
	})
}

// heard is what comes over a connection, until the test ends.
func (s *shared) heard(conn *websocket.Conn) <-chan string {
	s.Helper()
	ctx, end := context.WithCancel(context.Background())
	texts, ended := make(chan string, 1024), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			_, text, err := conn.Read(ctx)
			if err != nil {
				return
			}
			texts <- string(text)
		}
	}()
	s.Cleanup(func() { end(); <-ended })
	return texts
}

// hears reads until a text comes.
func hears(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	for {
		if _, got := wstest.Read(t, conn); got == text {
			return
		}
	}
}

func (s *shared) host() *websocket.Conn {
	s.Helper()
	host := s.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	b := s.browser()
	return wstest.Dial(s, b.client, call[gateway.TicketView](b, 200, "POST", "/session/pend00-data", nil, authorization(host)).URI, nil)
}

// Control is one person's at a time, and changes hands on connections that stay
// open.
func TestControlChangesHands(t *testing.T) {
	s := newShared(t)
	heard := s.soren.messages()
	host := s.host()
	adas, sorens := s.ada.launch(s.booking), s.soren.launch(s.booking)
	driver, passenger := s.ada.stream(adas, "data"), s.soren.stream(sorens, "data")
	atHost := s.heard(host)
	s.drives(atHost, driver, passenger)

	s.soren.refused(409, "POST", s.path("control"), gateway.ControlRequest{Action: "take"})
	s.soren.refused(409, "POST", s.path("control"), gateway.ControlRequest{Action: "give", To: s.ids["soren"]})
	s.ada.refused(422, "POST", s.path("control"), gateway.ControlRequest{Action: "steal"})
	s.ada.refused(404, "POST", s.path("control"), gateway.ControlRequest{Action: "give", To: "nobody"})
	if view := s.steer(s.soren, "ask", ""); view.Control != s.ids["ada"] || view.You != s.ids["soren"] || !view.People[1].Asks {
		t.Errorf("asked: %+v", view)
	}
	if view := s.steer(s.ada, "give", "soren"); view.Control != s.ids["soren"] || view.People[1].Asks || view.Since.IsZero() {
		t.Errorf("given: %+v", view)
	}
	s.drives(atHost, passenger, driver)
	// Both hear what the host says.
	wstest.Write(t, host, websocket.MessageText, "angle 3")
	for _, conn := range []*websocket.Conn{driver, passenger} {
		hears(t, conn, "angle 3")
	}
	// The same by the codes of the experiment's pages.
	if view := call[gateway.ControlView](s.browser(), 200, "GET", "/api/v1/experiment/control", nil, authorization(code(adas))); view.Control != s.ids["soren"] || view.You != s.ids["ada"] {
		t.Errorf("by code: %+v", view)
	}
	if view := call[gateway.ControlView](s.browser(), 200, "POST", "/api/v1/experiment/control", gateway.ControlRequest{Action: "take"}, authorization(code(adas))); view.Control != s.ids["ada"] {
		t.Errorf("taken: %+v", view)
	}
	s.drives(atHost, driver, passenger)
	for _, change := range []string{"asked", "given", "taken"} {
		heard.await("lodge.control "+change, func(e event) bool {
			var c gateway.Controlled
			return e.Type == "lodge.control" && json.Unmarshal(e.Data, &c) == nil && c.Change == change && len(c.People) == 2
		})
	}
}

// Who has control and is gone does not keep it.
func TestControlOfWhoIsGone(t *testing.T) {
	s := newShared(t)
	if view := s.steer(s.soren, "take", ""); view.Control != s.ids["soren"] {
		t.Errorf("taken while nobody was there: %+v", view)
	}
	if view := s.steer(s.ada, "take", ""); view.Control != s.ids["ada"] {
		t.Errorf("taken by the owner: %+v", view)
	}
}

// What partners may not do, and that nobody else learns of the booking.
func TestPartnersMayLittle(t *testing.T) {
	s := newShared(t)
	linus := s.signedIn("linus")
	for _, c := range []struct {
		method, of string
		body       any
	}{
		{"POST", "extend", gateway.ExtendRequest{Seconds: 60}}, {"POST", "reference", nil}, {"POST", "share", nil},
		{"POST", "partners", gateway.PartnerRequest{Person: s.ids["ada"]}}, {"DELETE", "share", nil},
	} {
		s.soren.refused(404, c.method, s.path(c.of), c.body)
	}
	s.soren.refused(404, "DELETE", s.booking.Links.Self, nil)
	s.soren.refused(403, "DELETE", s.path("partners/"+s.ids["ada"]), nil)
	for _, of := range []string{"control"} {
		linus.refused(404, "GET", s.path(of), nil)
		linus.refused(404, "POST", s.path(of), gateway.ControlRequest{Action: "take"})
	}
	linus.refused(404, "POST", s.path("activity"), nil)
	linus.refused(404, "POST", "/api/v1/bookings/join", gateway.PartnerJoinRequest{Code: "lodge_share_guessed"})
	guest := s.lookUp(s.booking)
	guest.refused(403, "POST", s.path("share"), nil)
	if view := call[gateway.ControlView](guest, 200, "GET", s.path("control"), nil); view.You != s.ids["ada"] {
		t.Errorf("by reference: %+v", view)
	}
	views := call[map[string][]gateway.BookingView](s.soren, 200, "GET", "/api/v1/bookings", nil)["bookings"]
	if len(views) != 1 || !views[0].Shared {
		t.Errorf("soren's bookings: %+v", views)
	}
	activity := s.soren.launch(s.booking)
	s.browser().refused(403, "POST", "/api/v1/experiment/extend", gateway.ExtendRequest{Seconds: 60}, authorization(code(activity)))
}

// Somebody who is removed is out at once and stays out; the others go on.
func TestRemovedPartnerIsOut(t *testing.T) {
	s := newShared(t)
	adas, sorens := s.ada.launch(s.booking), s.soren.launch(s.booking)
	conn, stays := s.soren.stream(sorens, "data"), s.ada.stream(adas, "data")
	s.steer(s.ada, "give", "soren")
	if got := s.ada.do("DELETE", s.path("partners/"+s.ids["soren"]), nil); got.status != http.StatusNoContent {
		t.Fatalf("removed: %d %s", got.status, got.body)
	}
	if closed := wstest.Closed(t, conn, deadline); closed.Code != 4403 || closed.Reason != "This booking is not shared with you any more." {
		t.Errorf("closed with %v", closed)
	}
	if got := s.soren.do("POST", sorens.Streams[0].URL, nil, authorization(code(sorens))); got.status != http.StatusForbidden {
		t.Errorf("the code: %d", got.status)
	}
	s.soren.refused(404, "POST", s.path("activity"), nil)
	s.soren.refused(404, "GET", s.booking.Links.Self, nil)
	host := s.host()
	s.eventually("control is back", func() bool {
		return call[gateway.ControlView](s.ada, 200, "GET", s.path("control"), nil).Control == s.ids["ada"]
	})
	wstest.Write(t, stays, websocket.MessageText, "still here")
	hears(t, host, "still here")
	s.ada.do("DELETE", s.path("share"), nil)
	// By name again, as a member of the booking's group.
	view := call[gateway.ControlView](s.ada, 201, "POST", s.path("partners"), gateway.PartnerRequest{Person: s.soren.me().Name})
	if len(view.People) != 2 {
		t.Errorf("again: %+v", view)
	}
	s.ada.refused(404, "POST", s.path("partners"), gateway.PartnerRequest{Person: "Nobody At All"})
}

// A cancellation and an extension reach partners' codes as the owner's.
func TestPartnersFollowTheBooking(t *testing.T) {
	s := newShared(t)
	conn := s.soren.stream(s.soren.launch(s.booking), "data")
	s.ada.do("DELETE", s.booking.Links.Self, nil)
	if closed := wstest.Closed(t, conn, deadline); closed.Code != 4403 {
		t.Errorf("closed with %v", closed)
	}
	s.ada.refused(409, "POST", s.path("share"), nil)
	s.soren.refused(409, "POST", s.path("control"), gateway.ControlRequest{Action: "take"})
}

// A second window of the same student: both, the newer, or the older one.
func TestSecondWindow(t *testing.T) {
	t.Run("allow", func(t *testing.T) {
		s := newShared(t)
		first := s.ada.stream(s.ada.launch(s.booking), "data")
		second := s.ada.stream(s.ada.launch(s.booking), "data")
		wstest.Write(t, first, websocket.MessageText, "hello")
		if _, got := wstest.Read(t, second); got != "hello" {
			t.Errorf("the second window heard %q", got)
		}
	})
	t.Run("replace", func(t *testing.T) {
		s := newShared(t, func(c *gateway.Config) { c.SecondWindow = gateway.WindowReplace })
		partner := s.soren.stream(s.soren.launch(s.booking), "data")
		first := s.ada.stream(s.ada.launch(s.booking), "data")
		second := s.ada.stream(s.ada.launch(s.booking), "data")
		if closed := wstest.Closed(t, first, deadline); closed.Code != 4403 || !strings.Contains(closed.Reason, "another window") {
			t.Errorf("closed with %v", closed)
		}
		wstest.Write(t, second, websocket.MessageText, "hello")
		if _, got := wstest.Read(t, partner); got != "hello" {
			t.Errorf("the partner heard %q", got)
		}
	})
	t.Run("refuse", func(t *testing.T) {
		s := newShared(t, func(c *gateway.Config) { c.SecondWindow = gateway.WindowRefuse })
		host := s.host()
		first := s.ada.stream(s.ada.launch(s.booking), "data")
		wstest.Write(t, first, websocket.MessageText, "here")
		hears(t, host, "here")
		if problem := s.ada.refused(409, "POST", s.path("activity"), nil); !strings.Contains(problem.Detail, "another window") {
			t.Errorf("refused: %+v", problem)
		}
		s.soren.stream(s.soren.launch(s.booking), "data")
		_ = first.CloseNow() // as a page does that is loaded again
		s.ada.launch(s.booking)
	})
}

// The link is one to a page that asks, and its forms do the same as the API.
func TestPartnerPages(t *testing.T) {
	s := newShared(t)
	page := "/bookings/" + s.booking.ID + "/partners"
	s.ada.do("DELETE", s.path("partners/"+s.ids["soren"]), nil)
	made := s.ada.do("POST", page, url.Values{"action": {"link"}})
	_, link, found := strings.Cut(string(made.body), s.url+"/partner?key=")
	if made.status != 200 || !found {
		t.Fatalf("link: %d %s", made.status, made.body)
	}
	key, _, _ := strings.Cut(link, `"`)
	if got := s.soren.do("GET", "/partner?key="+key, nil); got.status != 200 || !strings.Contains(string(got.body), key) {
		t.Errorf("the link's page: %d", got.status)
	}
	if got := s.soren.do("POST", "/partner", url.Values{"key": {key}}); got.status != 303 || got.header.Get("Location") != page+"?done=partner" {
		t.Errorf("joined: %d %s", got.status, got.header.Get("Location"))
	}
	if got := s.soren.do("GET", "/bookings/"+s.booking.ID, nil); got.status != 303 || got.header.Get("Location") != page {
		t.Errorf("the partner's booking page: %d", got.status)
	}
	for _, step := range []struct {
		by   *browser
		form url.Values
		want string
	}{
		{s.soren, url.Values{"action": {"ask"}}, "ada"},
		{s.ada, url.Values{"action": {"give"}, "to": {s.ids["soren"]}}, "soren"},
		{s.ada, url.Values{"action": {"take"}}, "ada"},
	} {
		if got := step.by.do("POST", "/bookings/"+s.booking.ID+"/control", step.form); got.status != 303 {
			t.Errorf("%v: %d %s", step.form, got.status, got.body)
		}
		if view := call[gateway.ControlView](s.ada, 200, "GET", s.path("control"), nil); view.Control != s.ids[step.want] {
			t.Errorf("%v: %+v", step.form, view)
		}
	}
	if got := s.ada.do("POST", page+"/"+s.ids["soren"]+"/remove", nil); got.status != 303 {
		t.Errorf("removed: %d", got.status)
	}
	if got := s.ada.do("POST", page, url.Values{"action": {"add"}, "person": {s.soren.me().Name}}); got.status != 303 {
		t.Errorf("added: %d %s", got.status, got.body)
	}
	if got := s.ada.do("POST", page, url.Values{"action": {"add"}, "person": {"Nobody At All"}}); got.status != 404 || !strings.Contains(string(got.body), "send your partner a link") {
		t.Errorf("added nobody: %d", got.status)
	}
	if got := s.soren.do("GET", "/launch/"+s.booking.ID, nil); got.status != 200 || strings.Contains(string(got.body), "/cancel") || !strings.Contains(string(got.body), "data-control") {
		t.Errorf("the partner's launch page: %d", got.status)
	}
	if got := s.ada.do("POST", page, url.Values{"action": {"unlink"}}); got.status != 303 {
		t.Errorf("link ended: %d", got.status)
	}
	s.soren.refused(404, "POST", "/api/v1/bookings/join", gateway.PartnerJoinRequest{Code: key})
}

// Those who share a booking hear who of them comes and goes, and nobody else does.
func TestPartnersHearOfEachOther(t *testing.T) {
	s := newShared(t)
	heard := s.ada.messages()
	heard.caughtUp()
	comes := func(there ...string) func(event) bool {
		return func(e event) bool {
			var data gateway.PresenceChanged
			if e.Type != "lodge.presence" || json.Unmarshal(e.Data, &data) != nil {
				return false
			}
			return slices.ContainsFunc(data.People, func(p gateway.PersonPresence) bool {
				return p.Person == s.ids["soren"] && slices.Equal(p.Experiments, there)
			})
		}
	}
	here := func() (names []string) {
		for _, p := range call[gateway.ControlView](s.ada, 200, "GET", s.path("control"), nil).People {
			if p.Here {
				names = append(names, p.Person)
			}
		}
		return names
	}
	if now := here(); len(now) > 0 {
		t.Errorf("before anybody came: %v", now)
	}
	conn := s.soren.stream(s.soren.launch(s.booking), "data")
	if e := heard.await("soren in the experiment", comes("pend00")); e.Topic != "booking:"+s.booking.ID {
		t.Errorf("told on %q", e.Topic)
	}
	if now := here(); !slices.Equal(now, []string{s.ids["soren"]}) {
		t.Errorf("here: %v", now)
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	heard.await("soren out of the experiment", comes())
}
