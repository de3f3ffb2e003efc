package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/redistest"
)

// The journey is what Lodge is for, from the first sign-in to the survey after
// the experiment, by the people of the demo and over public HTTP and websockets
// alone.
func TestJourneyOnEmbeddedStores(t *testing.T) {
	journey(t, startDemo(t, t.TempDir()))
}

func TestJourneyOnRedis(t *testing.T) {
	server := redistest.Start(t)
	journey(t, startDemo(t, t.TempDir(), "--redis", server.URL()))
}

func journey(t *testing.T, d *demoProcess) {
	j := &journeyState{t: t, d: d}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"1 Ada signs in and books", j.ada1},
		{"2 Søren looks his booking up", j.soren2},
		{"3 Ada launches and drives", j.launch3},
		{"4 Grace broadcasts", j.broadcast4},
		{"5 extension, off-line and back, cancellation", j.end5},
		{"6 survey and attendance", j.after6},
		{"7 all of it survives kill -9", j.crash7},
	} {
		if !t.Run(step.name, func(t *testing.T) { j.t = t; step.run(t) }) {
			t.FailNow()
		}
	}
}

type journeyState struct {
	t *testing.T
	d *demoProcess

	ada, grace, linus *visitor
	soren             *visitor
	booking           gateway.BookingView
	activity          gateway.Activity
	data, video       *websocket.Conn
	socket            *socket
	uiSocket          *socket
	survey            gateway.SurveyView
	register          gateway.RegisterView
}

func (j *journeyState) ada1(t *testing.T) {
	j.ada = signedIn(t, j.d.url, "ada")
	me := call[gateway.Me](j.ada, 200, "GET", "/api/v1/me", nil)
	if me.Name != "Ada Lovelace" || me.Kind != "login" {
		t.Fatalf("me: %+v", me)
	}
	for _, group := range me.Groups {
		if len(call[gateway.AvailabilityView](j.ada, 200, "GET", "/api/v1/availability?group="+group, nil).Slots) == 0 {
			t.Errorf("group %s offers nothing", group)
		}
	}
	j.booking = call[gateway.BookingView](j.ada, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300})
	if len(j.booking.Reference) != 6 || strings.Trim(j.booking.Reference, "23456789BCDFGHJKMNPQRSTVWXZ") != "" {
		t.Errorf("reference %q", j.booking.Reference)
	}
	if got := j.booking.End.Sub(j.booking.Start); got != 5*time.Minute {
		t.Errorf("booked for %v", got)
	}
	status, ics := j.ada.do("GET", j.booking.Links.ICS, nil)
	if status != 200 || !strings.Contains(string(ics), "BEGIN:VEVENT\r\n") {
		t.Errorf("ics: %d %s", status, ics)
	}
}

func (j *journeyState) soren2(t *testing.T) {
	reference := j.d.reference()
	for _, surname := range []string{"O’BRIAIN", "o briain", "obriain"} {
		v := newVisitor(t, j.d.url)
		found := call[struct{ Booking gateway.BookingView }](v, 200, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: surname, Reference: strings.ToLower(reference)})
		if found.Booking.Experiment != "pend01" {
			t.Fatalf("%s opened %+v", surname, found.Booking)
		}
		j.soren = v
	}
	mine := call[struct{ Bookings []gateway.BookingView }](j.soren, 200, "GET", "/api/v1/bookings", nil)
	if len(mine.Bookings) != 1 || mine.Bookings[0].Reference != "" {
		t.Errorf("Søren sees %+v", mine.Bookings)
	}
	j.soren.refusedWith(404, "GET", "/api/v1/bookings/"+j.booking.ID, nil)
	j.soren.refusedWith(403, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300})
	me := call[gateway.Me](j.soren, 200, "GET", "/api/v1/me", nil)
	for _, topic := range me.Topics {
		if strings.HasPrefix(topic, "user:") || strings.HasPrefix(topic, "group:") {
			t.Errorf("a booking session hears %s", topic)
		}
	}
}

// reading is one message of the rig's data stream.
type reading struct {
	T     float64 `json:"t"`     // milliseconds
	Angle float64 `json:"angle"` // degrees
}

func (j *journeyState) launch3(t *testing.T) {
	j.activity = call[gateway.Activity](j.ada, 200, "POST", "/api/v1/bookings/"+j.booking.ID+"/activity", nil)
	if len(j.activity.UIs) == 0 || !strings.Contains(j.activity.UIs[0].URL, "streams=%5B%7B") {
		t.Fatalf("UIs: %+v", j.activity.UIs)
	}
	if res := j.ada.request("GET", strings.SplitN(j.activity.UIs[0].URL, "?", 2)[0], nil); res.StatusCode != 200 || len(res.Cookies()) > 0 {
		t.Errorf("the UI answers %d with %d cookies", res.StatusCode, len(res.Cookies()))
	} else {
		res.Body.Close()
	}
	if status, page := j.ada.do("GET", "/launch/"+j.booking.ID, nil); status != 200 || !strings.Contains(string(page), "<iframe") {
		t.Errorf("launch page: %d", status)
	}
	j.data, j.video = j.open("data"), j.open("video")

	j.rates()
	still := j.swing(40)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := j.data.Write(ctx, websocket.MessageText, []byte(`{"cmd":"kick"}`)); err != nil {
		t.Fatal(err)
	}
	if moved := j.swing(40); moved < still+1 {
		t.Errorf("a kick moved the pendulum by %.2f degrees, before it swung %.2f", moved, still)
	}
}

func (j *journeyState) open(name string) *websocket.Conn {
	j.t.Helper()
	for _, s := range j.activity.Streams {
		if s.For == name {
			conn, err := stream(j.d.t, s)
			if err != nil {
				j.t.Fatalf("stream %s: %v", name, err)
			}
			return conn
		}
	}
	j.t.Fatalf("no stream %s", name)
	return nil
}

// rates checks the rig's own pace: readings at 20 Hz by their time stamps, and at
// least one picture for every two of them.
func (j *journeyState) rates() {
	j.t.Helper()
	pictures := make(chan int, 1)
	ctx, cancel := context.WithTimeout(j.t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		n := 0
		defer func() { pictures <- n }()
		for {
			kind, _, err := j.video.Read(ctx)
			if err != nil {
				return
			}
			if kind == websocket.MessageBinary {
				n++
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	var gaps []float64
	const readings = 60
	for last := 0.0; len(gaps) < readings; {
		_, raw, err := j.data.Read(ctx)
		var r reading
		if err != nil || json.Unmarshal(raw, &r) != nil {
			j.t.Fatalf("reading %s: %v", raw, err)
		}
		if last != 0 {
			gaps = append(gaps, r.T-last)
		}
		last = r.T
	}
	close(done)
	slices.Sort(gaps)
	if median := gaps[readings/2]; median < 45 || median > 60 {
		j.t.Errorf("a reading every %.1f ms, want every 50", median)
	}
	if n := <-pictures; n < readings/2 {
		j.t.Errorf("%d pictures with %d readings, want half as many at least", n, readings)
	}
}

// swing returns the greatest angle of the next readings, in degrees.
func (j *journeyState) swing(readings int) float64 {
	j.t.Helper()
	greatest := 0.0
	for range readings {
		ctx, cancel := context.WithTimeout(j.t.Context(), 5*time.Second)
		_, raw, err := j.data.Read(ctx)
		cancel()
		var r reading
		if err != nil || json.Unmarshal(raw, &r) != nil {
			j.t.Fatalf("reading %s: %v", raw, err)
		}
		greatest = math.Max(greatest, math.Abs(r.Angle))
	}
	return greatest
}

func (j *journeyState) broadcast4(t *testing.T) {
	j.grace = signedIn(t, j.d.url, "grace")
	j.socket = j.ada.messages(nil)
	j.socket.t = j.d.t
	j.socket.caughtUp()
	// The experiment's UI has its own way in: a ticket for its code.
	ticket := call[gateway.TicketView](newVisitor(t, j.d.url), 200, "POST", "/api/v1/messages/ticket", nil, header{"Authorization", j.activity.Streams[0].Token})
	j.uiSocket = newVisitor(j.d.t, j.d.url).open(ticket.URI, "")
	j.uiSocket.caughtUp()

	me := call[gateway.Me](j.ada, 200, "GET", "/api/v1/me", nil)
	for to, inUI := range map[string]bool{"all": true, "experiment:pend00": true, "booking:" + j.booking.ID: true, "group:physics-1": false, "user:" + me.Person: false} {
		req := gateway.MessageRequest{To: to, Title: "About " + to, Text: "to " + to, Expires: time.Now().Add(time.Hour).Format(time.RFC3339)}
		req.Replies = to == "group:physics-1"
		sent := call[gateway.MessageView](j.grace, 202, "POST", "/api/v1/messages", req)
		got := j.socket.notice("to " + to)
		if got.Topic != to || got.ID != sent.ID {
			t.Errorf("sent %+v, got %+v", sent, got)
		}
		if inUI {
			j.uiSocket.notice("to " + to)
		}
		j.receipt(sent.ID, "sent")
		j.socket.send(map[string]string{"type": "ack", "topic": got.Topic, "pos": got.Pos})
		j.receipt(sent.ID, "delivered")
		j.socket.send(map[string]string{"type": "read", "topic": got.Topic, "pos": got.Pos})
		j.receipt(sent.ID, "read")
	}
	for id, n := range j.uiSocket.seen {
		if n != 1 {
			t.Errorf("the UI got message %s %d times", id, n)
		}
	}
	j.ada.refusedWith(403, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "mine"})
}

// receipt waits until Ada's receipt of a message is in a state.
func (j *journeyState) receipt(id, state string) {
	j.t.Helper()
	j.d.eventually("the receipt "+state, func() bool {
		got := call[gateway.ReceiptsView](j.grace, 200, "GET", "/api/v1/messages/"+id+"/receipts", nil)
		for _, p := range got.People {
			if p.Name == "Ada Lovelace" {
				return p.State == state
			}
		}
		return false
	})
}

func (j *journeyState) end5(t *testing.T) {
	extended := call[gateway.BookingView](j.ada, 200, "POST", "/api/v1/bookings/"+j.booking.ID+"/extend", gateway.ExtendRequest{Seconds: 300})
	if got := extended.End.Sub(j.booking.End); got != 5*time.Minute {
		t.Errorf("extended by %v", got)
	}
	j.socket.change("lodge.booking", "extended")
	left := call[gateway.RemainingView](newVisitor(t, j.d.url), 200, "GET", "/api/v1/experiment", nil, header{"Authorization", j.activity.Streams[0].Token})
	if !left.End.Equal(extended.End) {
		t.Errorf("the code's clock says %v, the booking ends %v", left.End, extended.End)
	}
	j.swing(5) // the socket that was open stays open

	j.linus = signedIn(t, j.d.url, "linus")
	j.linus.refusedWith(403, "PUT", "/api/v1/admin/experiments/pend01/state", gateway.ExperimentStateRequest{Reason: "not mine"})
	call[gateway.ExperimentView](j.linus, 200, "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Reason: "New bearings."})
	j.closes(j.data, 4409, "New bearings.")
	j.closes(j.video, 4409, "New bearings.")
	j.refuses(http.StatusConflict)
	call[gateway.ExperimentView](j.linus, 200, "PUT", "/api/v1/admin/experiments/pend00/state", gateway.ExperimentStateRequest{Online: true})
	j.data, j.video = j.open("data"), j.open("video") // the same code
	j.swing(5)

	cancelled := call[gateway.BookingView](j.grace, 200, "DELETE", "/api/v1/bookings/"+j.booking.ID, gateway.CancelRequest{Reason: "The lab closes early."})
	if cancelled.State != "cancelled" {
		t.Errorf("state %s", cancelled.State)
	}
	j.closes(j.data, 4403, "The lab closes early.")
	j.closes(j.video, 4403, "The lab closes early.")
	j.refuses(http.StatusForbidden)
	j.socket.change("lodge.booking", "cancelled")
}

// closes waits for a close frame with a code and a reason.
func (j *journeyState) closes(conn *websocket.Conn, code websocket.StatusCode, reason string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), 10*time.Second)
	defer cancel()
	for {
		_, _, err := conn.Read(ctx)
		if err == nil {
			continue
		}
		closed, ok := errors.AsType[websocket.CloseError](err)
		if !ok || closed.Code != code || closed.Reason != reason {
			j.t.Errorf("the stream ended with %v, want %d %q", err, code, reason)
		}
		return
	}
}

// refuses checks that the code is refused before any upgrade.
func (j *journeyState) refuses(status int) {
	j.t.Helper()
	got, uri, err := exchange(j.t, j.activity.Streams[0].URL, j.activity.Streams[0].Token)
	if err != nil || got != status || uri != "" {
		j.t.Errorf("reconnecting: %d %q %v, want %d", got, uri, err, status)
	}
}

func (j *journeyState) after6(t *testing.T) {
	j.survey = call[gateway.SurveyView](j.grace, 201, "POST", "/api/v1/surveys", gateway.SurveyRequest{
		To: "experiment:pend00", Title: "How was it?",
		Questions: []gateway.QuestionView{
			{ID: "q1", Kind: "single", Text: "Did the pendulum obey?", Options: []string{"Yes", "No"}, Required: true},
			{ID: "q2", Kind: "text", Text: "What should change?"},
		},
	})
	j.socket.change("lodge.survey", "opened")
	j.uiSocket.change("lodge.survey", "opened")
	answer := gateway.AnswerRequest{Answers: map[string]gateway.Answer{"q1": {Options: []int{0}}, "q2": {Text: "=more drive"}}}
	for range 2 { // a retry is not a second answer
		call[gateway.SurveyView](j.ada, 200, "POST", "/api/v1/surveys/"+j.survey.ID+"/answers", answer)
	}
	tally := call[gateway.TallyView](j.grace, 200, "GET", "/api/v1/surveys/"+j.survey.ID+"/results", nil)
	if tally.Answered != 1 || tally.Counts["q1"][0] != 1 {
		t.Errorf("tally %+v", tally)
	}
	if status, csv := j.grace.do("GET", "/api/v1/surveys/"+j.survey.ID+".csv", nil); status != 200 || !strings.Contains(string(csv), "'=more drive") {
		t.Errorf("csv: %d %s", status, csv)
	}
	j.ada.refusedWith(403, "GET", "/api/v1/surveys/"+j.survey.ID+"/results", nil)

	j.register = call[gateway.RegisterView](j.grace, 201, "POST", "/api/v1/registers", gateway.RegisterRequest{
		Title: "This hour", Group: "physics-1", Start: time.Now().Add(-30 * time.Minute), End: time.Now().Add(30 * time.Minute),
	})
	if m := j.mark("Ada Lovelace"); m.State != "present" || m.Source != "experiment" || m.Confirmed {
		t.Errorf("Ada is %+v, want present because she was in the experiment", m)
	}
	j.socket.change("lodge.register", "opened")
	call[gateway.RegisterView](j.ada, 200, "POST", "/api/v1/registers/"+j.register.ID+"/marks", nil)
	if m := j.mark("Ada Lovelace"); !m.Confirmed {
		t.Errorf("after her tap Ada is %+v", m)
	}
	call[gateway.RegisterView](j.grace, 200, "POST", "/api/v1/registers/"+j.register.ID+"/close", nil)
	if m := j.mark("Søren Ó Briain"); m.State != "absent" {
		t.Errorf("Søren is %+v, want absent", m)
	}
	own := call[gateway.RegisterView](j.ada, 200, "GET", "/api/v1/registers/"+j.register.ID, nil)
	if len(own.Marks) != 1 || own.Marks[0].Name != "Ada Lovelace" {
		t.Errorf("Ada sees the marks %+v", own.Marks)
	}
}

func (j *journeyState) mark(name string) gateway.MarkView {
	j.t.Helper()
	register := call[gateway.RegisterView](j.grace, 200, "GET", "/api/v1/registers/"+j.register.ID, nil)
	for _, m := range register.Marks {
		if m.Name == name {
			return m
		}
	}
	j.t.Fatalf("%s is not in %+v", name, register)
	return gateway.MarkView{}
}

func (j *journeyState) crash7(t *testing.T) {
	live := call[gateway.BookingView](j.ada, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "physics-1", Slot: "pend00-physics-1", Seconds: 600})
	activity := call[gateway.Activity](j.ada, 200, "POST", "/api/v1/bookings/"+live.ID+"/activity", nil)
	tally := call[gateway.TallyView](j.grace, 200, "GET", "/api/v1/surveys/"+j.survey.ID+"/results", nil)
	call[gateway.MessageView](j.grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "before the crash"})
	j.socket.notice("before the crash")
	seen, last := j.socket.seen, j.socket.last

	// Sent and acknowledged, and perhaps never delivered: it must not be lost.
	call[gateway.MessageView](j.grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "as it crashed"})
	j.d.kill()

	for _, v := range []*visitor{j.ada, j.grace, j.linus} { // nobody signs in again
		call[gateway.Me](v, 200, "GET", "/api/v1/me", nil)
	}
	if mine := call[struct{ Bookings []gateway.BookingView }](j.soren, 200, "GET", "/api/v1/bookings", nil); len(mine.Bookings) != 1 {
		t.Errorf("Søren sees %+v", mine.Bookings)
	}
	again := j.ada.messages(last)
	again.seen = seen
	again.caughtUp()
	call[gateway.MessageView](j.grace, 202, "POST", "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "after the crash"})
	again.notice("after the crash")
	history := call[struct{ Messages []gateway.MessageView }](j.ada, 200, "GET", "/api/v1/messages?topic=all", nil)
	for _, m := range history.Messages {
		if again.seen[m.ID] != 1 {
			t.Errorf("message %s arrived %d times over both sockets", m.ID, again.seen[m.ID])
		}
	}
	if len(history.Messages) != 4 {
		t.Errorf("%d messages to everyone are there, want 4", len(history.Messages))
	}
	if after := call[gateway.TallyView](j.grace, 200, "GET", "/api/v1/surveys/"+j.survey.ID+"/results", nil); after.Answered != tally.Answered {
		t.Errorf("answers: %d before, %d after", tally.Answered, after.Answered)
	}
	if m := j.mark("Ada Lovelace"); m.State != "present" || !m.Confirmed {
		t.Errorf("Ada is %+v", m)
	}
	j.refuses(http.StatusForbidden) // what was cancelled stays so
	j.activity = activity
	j.d.eventually("the rig is back", func() bool {
		status, _, err := exchange(t, activity.Streams[0].URL, activity.Streams[0].Token)
		return err == nil && status == http.StatusOK
	})
	j.data = j.open("data")
	j.swing(5)
}
