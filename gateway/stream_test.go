package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/wstest"
)

// rig connects a host to an experiment's stream and echoes what it hears.
func (l *lab) rig(experiment, topic string) {
	l.Helper()
	host := l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: experiment})
	b := l.browser()
	ticket := call[gateway.TicketView](b, 200, "POST", "/session/"+topic, nil, authorization(host))
	conn := wstest.Dial(l, b.client, ticket.URI, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			kind, data, err := conn.Read(l.Context())
			if err != nil || conn.Write(l.Context(), kind, data) != nil {
				return
			}
		}
	}()
	l.Cleanup(func() { <-done })
}

// echoes sends something to the rig and waits for it to come back.
func echoes(t testing.TB, conn *websocket.Conn, text string) {
	t.Helper()
	wstest.Write(t, conn, websocket.MessageText, text)
	for {
		if _, got := wstest.Read(t, conn); got == text {
			return
		}
	}
}

// An experiment that is taken off-line closes and refuses; when it is back the
// same code works.
func TestOfflineAndBack(t *testing.T) {
	l := newLab(t)
	l.rig("pend00", "pend00-data")
	ada, linus := l.signedIn("ada"), l.signedIn("linus")
	booking := ada.book("pend00-everyone")
	activity := ada.launch(booking)
	conn := ada.stream(activity, "data")
	echoes(t, conn, "before")

	call[gateway.ExperimentView](linus, 200, "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Reason: "New bearings."})
	if closed := wstest.Closed(t, conn, deadline); closed.Code != 4409 || closed.Reason != "New bearings." {
		t.Errorf("closed with %v", closed)
	}
	if got := ada.do("POST", activity.Streams[0].URL, nil, authorization(code(activity))); got.status != http.StatusConflict {
		t.Errorf("the code, off-line: %d %s", got.status, got.body)
	}
	ada.refused(409, "POST", booking.Links.Self+"/activity", nil)
	if page := ada.do("GET", "/launch/"+booking.ID, nil); page.status != 200 {
		t.Errorf("the launch page, off-line: %d", page.status)
	}
	call[gateway.ExperimentView](linus, 200, "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Online: true})
	echoes(t, ada.stream(activity, "data"), "after")
}

// A cancellation closes and says why; the code is refused before
// any upgrade, and still receives messages.
func TestCancelledMidStream(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	booking := ada.book("pend00-everyone")
	activity := ada.launch(booking)
	data, video := ada.stream(activity, "data"), ada.stream(activity, "video")
	spare := call[gateway.TicketView](ada, 200, "POST", activity.Streams[0].URL, nil, authorization(code(activity)))

	call[gateway.BookingView](grace, 200, "DELETE", booking.Links.Self, gateway.CancelRequest{Reason: "The lab closes early."})
	for _, conn := range []*websocket.Conn{data, video} {
		if closed := wstest.Closed(t, conn, deadline); closed.Code != 4403 || closed.Reason != "The lab closes early." {
			t.Errorf("closed with %v", closed)
		}
	}
	if got := ada.do("POST", activity.Streams[0].URL, nil, authorization(code(activity))); got.status != http.StatusForbidden {
		t.Errorf("the code: %d %s", got.status, got.body)
	}
	if conn, status := wstest.TryDial(t, ada.client, spare.URI, nil); conn != nil || status != http.StatusForbidden {
		t.Errorf("a ticket from before: %d", status)
	}
	if got := ada.do("POST", booking.Links.Self+"/activity", nil); got.status != 422 {
		t.Errorf("another launch: %d", got.status)
	}
	ticket := call[gateway.TicketView](ada, 200, "POST", "/api/v1/messages/ticket", nil, authorization(code(activity)))
	socket := ada.socket(ticket.URI, l.assets)
	socket.caughtUp()
	call[map[string]string](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "booking:" + booking.ID, Text: "Sorry."})
	socket.notice("Sorry.")
	if left := call[gateway.RemainingView](ada, 200, "GET", "/api/v1/experiment", nil, authorization(code(activity))); left.State != "revoked" || left.Reason != "The lab closes early." {
		t.Errorf("the code learns %+v", left)
	}
}

// An extension keeps code and socket past the old end; at the new one they close.
func TestExtensionKeepsTheSocket(t *testing.T) {
	l := newLab(t)
	l.rig("pend00", "pend00-data")
	ada := l.signedIn("ada")
	activity := ada.launch(ada.book("pend00-everyone"))
	conn := ada.stream(activity, "data")
	echoes(t, conn, "before")

	left := call[gateway.RemainingView](ada, 200, "POST", "/api/v1/experiment/extend", gateway.ExtendRequest{Seconds: 300}, authorization(code(activity)))
	if left.State != "active" || left.End.Unix() != activity.Exp+300 {
		t.Errorf("extended: %+v", left)
	}
	l.clock.pass(6 * time.Minute) // past the old end
	echoes(t, conn, "past the old end")
	echoes(t, ada.stream(activity, "data"), "and with the same code again")

	l.clock.pass(5 * time.Minute)
	if closed := wstest.Closed(t, conn, deadline); closed.Code != 4401 {
		t.Errorf("at the new end: %v", closed)
	}
}

// Of too many codes of a booking the oldest ends; launches have a rate.
func TestCodesOfABookingAreCapped(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.CodesPerBook, c.LaunchRate = 3, 5 })
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	first := ada.launch(booking)
	conn := ada.stream(first, "data")
	for range 3 {
		l.clock.pass(time.Second)
		ada.launch(booking)
	}
	if closed := wstest.Closed(t, conn, deadline); closed.Code != 4403 {
		t.Errorf("the oldest: %v", closed)
	}
	ada.launch(booking)
	if p := ada.refused(429, "POST", booking.Links.Self+"/activity", nil); p.Code != "too-many" {
		t.Errorf("%+v", p)
	}
	l.clock.pass(time.Minute)
	ada.launch(booking)
}

// A code opens what its streams say, in the directions they say.
func TestRightsOfStreams(t *testing.T) {
	l := newLab(t)
	l.rig("pend00", "pend00-video")
	ada := l.signedIn("ada")
	activity := ada.launch(ada.book("pend00-everyone"))
	video := ada.stream(activity, "video")
	wstest.Write(t, video, websocket.MessageText, "not mine to send")

	service := l.makeCode(gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:stats", "write:pend00-video"}})
	ticket := call[gateway.TicketView](ada, 200, "POST", "/session/pend00-video", nil, authorization(service))
	sender := wstest.Dial(t, ada.client, ticket.URI, nil)
	wstest.Write(t, sender, websocket.MessageBinary, "a picture")
	if kind, got := wstest.Read(t, video); kind != websocket.MessageBinary || got != "a picture" {
		t.Errorf("the reader got %q first", got)
	}
	status := call[[]map[string]any](ada, 200, "GET", "/status", nil, authorization(service))
	if len(status) != 3 {
		t.Errorf("%d connections in the status", len(status))
	}
	if got := ada.do("DELETE", "/session/pend00-video", nil, authorization(code(activity))); got.status != 204 {
		t.Errorf("giving the code up: %d %s", got.status, got.body)
	}
	if closed := wstest.Closed(t, video, deadline); closed.Code != 4403 {
		t.Errorf("closed with %v", closed)
	}
}

// The list of practable's denials, and what it refuses.
func TestBids(t *testing.T) {
	l := newLab(t)
	b := l.browser()
	admin := authorization(l.makeCode(gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:admin"}}))
	const query = "?bid=b1&exp=4102444800"
	if got := b.do("POST", "/bids/deny"+query, nil, admin); got.status != 204 {
		t.Errorf("deny: %d %s", got.status, got.body)
	}
	if got := call[map[string][]string](b, 200, "GET", "/bids/deny", nil, admin); len(got["booking_ids"]) != 1 || got["booking_ids"][0] != "b1" {
		t.Errorf("denied: %v", got)
	}
	if got := b.do("POST", "/bids/allow"+query, nil, admin); got.status != 204 {
		t.Errorf("allow: %d %s", got.status, got.body)
	}
	call[map[string][]string](b, 200, "GET", "/bids/allow", nil, admin)
	for _, path := range []string{"/bids/deny", "/bids/deny?bid=b1&exp=soon", "/bids/allow?exp=1"} {
		if got := b.do("POST", path, nil, admin); got.status != 400 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	other := authorization(l.makeCode(gateway.CodeRequest{Kind: "service", Scopes: []string{"relay:stats"}}))
	if got := b.do("POST", "/bids/deny"+query, nil, other); got.status != 403 {
		t.Errorf("with another scope: %d", got.status)
	}
	if got := b.do("GET", "/bids/deny", nil); got.status != 401 {
		t.Errorf("without a code: %d", got.status)
	}
}
