package gateway_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
)

// What is somebody else's reads like what is not there, on every way to it.
func TestForeignBookings(t *testing.T) {
	l := newLab(t)
	ada, soren := l.signedIn("ada"), l.signedIn("soren")
	booking := ada.book("pend00-everyone")
	mine := soren.book("pend02-everyone")
	for name, other := range map[string]*browser{"another student": soren, "their booking session": l.lookUp(mine), "a technician": l.signedIn("linus")} {
		for _, c := range []struct {
			method, path string
			body         any
		}{
			{"GET", "", nil}, {"DELETE", "", nil}, {"POST", "/extend", gateway.ExtendRequest{Seconds: 300}}, {"POST", "/activity", nil}, {"GET", ".ics", nil},
		} {
			there := other.do(c.method, "/api/v1/bookings/"+booking.ID+c.path, c.body)
			nowhere := other.do(c.method, "/api/v1/bookings/"+strings.Repeat("0", len(booking.ID))+c.path, c.body)
			if there.status != 404 || nowhere.status != 404 || string(there.body) != string(nowhere.body) {
				t.Errorf("%s, %s %s: %d %s\nand of none %d %s", name, c.method, c.path, there.status, there.body, nowhere.status, nowhere.body)
			}
		}
		for _, c := range []struct{ method, path string }{
			{"GET", "/bookings/" + booking.ID}, {"GET", "/launch/" + booking.ID}, {"POST", "/bookings/" + booking.ID + "/extend"},
			{"POST", "/bookings/" + booking.ID + "/cancel"},
		} {
			if got := other.do(c.method, c.path, url.Values{}); got.status != 404 {
				t.Errorf("%s, %s %s: %d", name, c.method, c.path, got.status)
			}
		}
	}
	if got := soren.do("POST", "/teach/bookings/"+booking.ID+"/cancel", url.Values{}); got.status != 404 {
		t.Errorf("a student at the instructor's form: %d", got.status)
	}
	if got := call[gateway.BookingView](ada, 200, "GET", booking.Links.Self, nil); got.State != "booked" || !got.End.Equal(booking.End) {
		t.Errorf("after all that: %+v", got)
	}
	// An instructor cancels, and sees no reference.
	grace := l.signedIn("grace")
	grace.refused(404, "GET", booking.Links.Self, nil)
	if got := call[gateway.BookingView](grace, 200, "DELETE", booking.Links.Self, gateway.CancelRequest{Reason: "Maintenance."}); got.Reference != "" || got.Reason != "Maintenance." {
		t.Errorf("%+v", got)
	}
}

// A booking session acts for the owner in that booking and nowhere else.
func TestBookingSessionIsLimitedToItsBooking(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	booking, other := ada.book("pend00-everyone"), ada.book("pend02-everyone")
	register := call[gateway.RegisterView](grace, 201, "POST", "/api/v1/registers", gateway.RegisterRequest{Title: "Hour", Group: "physics-1"})
	survey := call[gateway.SurveyView](grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{To: "group:physics-1", Title: "S", Questions: []gateway.QuestionView{{ID: "q", Kind: "text", Text: "?"}}})
	call[map[string]string](grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "user:" + ada.me().Person, Text: "For Ada alone."})

	b := l.lookUp(booking)
	me := b.me()
	if me.Kind != "booking" || me.Booking != booking.ID || len(me.Groups)+len(me.Roles)+len(me.Audience) != 0 {
		t.Errorf("%+v", me)
	}
	for _, topic := range me.Topics {
		if topic != "all" && topic != "booking:"+booking.ID && topic != "experiment:pend00" {
			t.Errorf("hears %s", topic)
		}
	}
	b.refused(404, "GET", other.Links.Self, nil)
	b.refused(403, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300})
	b.refused(403, "GET", "/api/v1/availability?group=everyone", nil)
	b.refused(403, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "Hello."})
	b.refused(403, "GET", "/api/v1/messages/x/receipts", nil)
	b.refused(403, "POST", "/api/v1/surveys", gateway.SurveyRequest{To: "all"})
	b.refused(403, "POST", "/api/v1/registers", gateway.RegisterRequest{Group: "physics-1"})
	b.refused(403, "GET", "/api/v1/admin/experiments", nil)
	b.refused(403, "GET", "/api/v1/admin/sessions", nil)
	b.refused(403, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	for _, path := range []string{"/api/v1/registers/" + register.ID, "/api/v1/surveys/" + survey.ID, "/api/v1/messages?topic=user:" + me.Person, "/api/v1/messages?topic=group:physics-1"} {
		b.refused(404, "GET", path, nil)
	}
	b.refused(404, "POST", "/api/v1/registers/"+register.ID+"/marks", nil)
	b.refused(404, "POST", "/api/v1/surveys/"+survey.ID+"/answers", gateway.AnswerRequest{Answers: map[string]gateway.Answer{"q": {Text: "x"}}})
	if got := call[struct{ Registers []gateway.RegisterView }](b, 200, "GET", "/api/v1/registers", nil); len(got.Registers) != 0 {
		t.Errorf("registers: %+v", got)
	}
	if got := call[struct{ Bookings []gateway.BookingView }](b, 200, "GET", "/api/v1/bookings", nil); len(got.Bookings) != 1 || got.Bookings[0].Reference != "" {
		t.Errorf("bookings: %+v", got)
	}
	for _, s := range call[gateway.SessionsView](b, 200, "GET", "/api/v1/me/sessions", nil).Sessions {
		if s.Kind == "login" || s.Booking != booking.ID {
			t.Errorf("sees the session %+v", s)
		}
	}
	b.refused(404, "DELETE", "/api/v1/me/sessions/"+ada.me().Session.ID, nil)

	// Nor does the code of an experiment confirm anything in its owner's name.
	ticket := call[gateway.TicketView](b, 200, "POST", "/api/v1/messages/ticket", nil, authorization(code(b.launch(booking))))
	ui := b.socket(ticket.URI, l.assets)
	ui.caughtUp()
	if reply := ui.ask("mark", map[string]string{"register": register.ID}); reply.Code != "not-found" {
		t.Errorf("a UI confirms attendance: %+v", reply)
	}
	if reply := ui.ask("answer", map[string]any{"survey": survey.ID, "answers": map[string]gateway.Answer{"q": {Text: "x"}}}); reply.Code != "not-found" {
		t.Errorf("a UI answers a survey of a group: %+v", reply)
	}
	if got := call[gateway.BookingView](b, 200, "POST", booking.Links.Self+"/extend", gateway.ExtendRequest{Seconds: 60}); got.End.Sub(booking.End) != time.Minute {
		t.Errorf("what it may do: %+v", got)
	}
}

// Each role reaches as far as its scope.
func TestRoles(t *testing.T) {
	l := newLab(t)
	ada, linus, grace, root := l.signedIn("ada"), l.signedIn("linus"), l.signedIn("grace"), l.signedIn("root")
	grace.book("pend02-everyone")
	for _, c := range []struct {
		name                         string
		method, path                 string
		body                         any
		student, technician, teacher int
	}{
		{"experiments", "GET", "/api/v1/admin/experiments", nil, 403, 200, 403},
		{"own experiment", "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Online: true}, 403, 200, 403},
		{"another experiment", "PUT", "/api/v1/admin/experiments/pend01/state", gateway.ExperimentStateRequest{}, 403, 403, 403},
		{"no experiment", "PUT", "/api/v1/admin/experiments/nothing/state", gateway.ExperimentStateRequest{}, 403, 403, 403},
		{"sessions", "GET", "/api/v1/admin/sessions", nil, 403, 403, 403},
		{"a session", "DELETE", "/api/v1/admin/sessions/" + root.me().Session.ID, nil, 403, 403, 403},
		{"codes", "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"}, 403, 403, 403},
		{"to all", "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "Hello."}, 403, 403, 202},
		{"to own users", "POST", "/api/v1/messages", gateway.MessageRequest{To: "experiment:pend00", Text: "Hello."}, 403, 202, 202},
		{"to other users", "POST", "/api/v1/messages", gateway.MessageRequest{To: "experiment:pend01", Text: "Hello."}, 403, 403, 202},
		{"to nobody's group", "POST", "/api/v1/messages", gateway.MessageRequest{To: "group:nothing", Text: "Hello."}, 403, 403, 422},
		{"to an unknown topic", "POST", "/api/v1/messages", gateway.MessageRequest{To: "everybody", Text: "Hello."}, 422, 422, 422},
		{"to an internal topic", "POST", "/api/v1/messages", gateway.MessageRequest{To: "sent:x", Text: "Hello."}, 422, 422, 422},
		{"register", "POST", "/api/v1/registers", gateway.RegisterRequest{Title: "Hour", Group: "physics-1"}, 403, 403, 201},
		{"register of nothing", "POST", "/api/v1/registers", gateway.RegisterRequest{Title: "Hour", Group: "nothing"}, 403, 403, 422},
		{"an internal topic", "GET", "/api/v1/messages?topic=registers", nil, 404, 404, 404},
		{"an unknown topic", "GET", "/api/v1/messages?topic=group:nothing", nil, 404, 404, 404},
		{"teaching", "GET", "/teach", nil, 403, 403, 200},
		{"rigs", "GET", "/rigs", nil, 403, 200, 403},
		{"administration", "GET", "/admin", nil, 403, 403, 403},
	} {
		for who, want := range map[*browser]int{ada: c.student, linus: c.technician, grace: c.teacher} {
			if got := who.do(c.method, c.path, c.body); got.status != want {
				t.Errorf("%s, %s: %d %s, want %d", c.name, who.me().Name, got.status, got.body, want)
			}
		}
	}
	for _, page := range []string{"/", "/teach", "/rigs", "/admin", "/sessions", "/messages", "/attendance"} {
		if got := root.do("GET", page, nil); got.status != 200 {
			t.Errorf("the administrator at %s: %d", page, got.status)
		}
	}
	// Sessions of others are nobody's but the administrator's.
	theirs := call[gateway.SessionsView](root, 200, "GET", "/api/v1/admin/sessions?kind=login&person="+ada.me().Person, nil).Sessions
	if len(theirs) != 1 || theirs[0].ID != ada.me().Session.ID || theirs[0].Current {
		t.Errorf("Ada's logins: %+v", theirs)
	}
	explain := "/api/v1/admin/persons/" + grace.me().Person + "/explain"
	if got := call[gateway.ExplanationView](root, 200, "GET", explain, nil); len(got.Roles) != 1 || got.Roles[0].Role != "instructor" {
		t.Errorf("Grace's roles: %+v", got)
	}
	grace.refused(403, "GET", explain, nil)
	root.refused(404, "GET", "/api/v1/admin/persons/nobody/explain", nil)
	ada.refused(404, "DELETE", "/api/v1/me/sessions/"+grace.me().Session.ID, nil)
	root.refused(404, "DELETE", "/api/v1/me/sessions/"+grace.me().Session.ID, nil)
	if got := root.do("DELETE", "/api/v1/admin/sessions/"+linus.me().Session.ID, nil); got.status != 204 {
		t.Errorf("the administrator ends a session: %d", got.status)
	}
	linus.refused(401, "GET", "/api/v1/me", nil)
	second := l.signedIn("ada")
	if got := ada.do("DELETE", "/api/v1/me/sessions/"+second.me().Session.ID, nil); got.status != 204 {
		t.Errorf("one's own other session: %d", got.status)
	}
	second.refused(401, "GET", "/api/v1/me", nil)
}

// Codes that make no sense are not made.
func TestCodesThatAreNotMade(t *testing.T) {
	l := newLab(t)
	root := l.signedIn("root")
	for _, req := range []gateway.CodeRequest{
		{}, {Kind: "login"}, {Kind: "experiment", Experiment: "pend00"}, {Kind: "host"}, {Kind: "host", Experiment: "nothing"},
		{Kind: "host", Experiment: "pend00", Scopes: []string{"read:pend01-data"}}, {Kind: "service"},
		{Kind: "service", Scopes: []string{"relay:stats"}, Seconds: -1}, {Kind: "service", Scopes: []string{"relay:stats"}, Seconds: 1 << 40},
	} {
		root.refused(422, "POST", "/api/v1/admin/codes", req)
	}
}
