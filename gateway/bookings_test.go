package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
)

func pendulum(l *lab, change func(*gateway.BookRequest)) gateway.BookRequest {
	r := gateway.BookRequest{Group: "everyone", Pool: "pendulums", Start: l.clock.Now().Add(20 * time.Minute), Seconds: 300}
	change(&r)
	return r
}

// Any experiment of a pool is booked, and when none is free that is said with the
// nearest that is.
func TestBookingsOfAPool(t *testing.T) {
	l := newLab(t)
	request := pendulum(l, func(*gateway.BookRequest) {})
	for _, who := range []string{"ada", "soren"} {
		got := call[gateway.BookingView](l.signedIn(who), 201, "POST", "/api/v1/bookings", request)
		if got.Pool != "pendulums" || (got.Experiment != "pend00" && got.Experiment != "pend02") {
			t.Errorf("%s: %+v", who, got)
		}
	}
	got := l.signedIn("linus").do("POST", "/api/v1/bookings", request)
	var p struct {
		ruled
		Offer *struct {
			Slot  string
			Start time.Time
		} `json:"offer"`
	}
	if err := json.Unmarshal(got.body, &p); err != nil || got.status != 409 || p.Rule != "clash" || p.Offer == nil || p.Offer.Slot == "" || !p.Offer.Start.Equal(request.Start.Add(5*time.Minute)) {
		t.Errorf("%d %s", got.status, got.body)
	}
	l.signedIn("linus").refused(400, "POST", "/api/v1/bookings", pendulum(l, func(r *gateway.BookRequest) { r.Slot = "pend00-everyone" }))
}

// What was changed since it was read is refused with 409, whoever changed it.
func TestIfMatch(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	b := ada.book("pend00-everyone")
	read := ada.do("GET", b.Links.Self, nil)
	tag := read.header.Get("ETag")
	extend := gateway.ExtendRequest{Seconds: 60}
	for _, stale := range []string{`"7"`, `W/` + tag, `"other", "18446744073709551616"`} {
		ada.refused(409, "POST", b.Links.Self+"/extend", extend, pair{"If-Match", stale})
		ada.refused(409, "DELETE", b.Links.Self, nil, pair{"If-Match", stale})
		ada.refused(409, "POST", b.Links.Self+"/reference", nil, pair{"If-Match", stale})
	}
	for _, unreadable := range []string{"7", `"7`, `"1",`} {
		ada.refused(400, "POST", b.Links.Self+"/extend", extend, pair{"If-Match", unreadable})
	}
	longer := ada.do("POST", b.Links.Self+"/extend", extend, pair{"If-Match", `"x", ` + tag})
	if longer.status != 200 || longer.header.Get("ETag") == tag {
		t.Errorf("%d %s, tag %s", longer.status, longer.body, longer.header.Get("ETag"))
	}
	ada.refused(409, "POST", b.Links.Self+"/extend", extend, pair{"If-Match", tag})
	if got := ada.do("POST", b.Links.Self+"/extend", extend, pair{"If-Match", "*"}); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := ada.do("DELETE", b.Links.Self, nil, pair{"If-Match", `"3"`}); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A new reference opens the booking; the old one does not, and who used it is out.
func TestReferencesAreRotated(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	b := ada.book("pend00-everyone")
	guest := l.browser()
	call[struct{ Booking gateway.BookingView }](guest, 200, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: b.Surname, Reference: b.Reference})
	guest.refused(403, "POST", b.Links.Self+"/reference", nil)
	l.clock.pass(time.Second)
	rotated := call[gateway.BookingView](ada, 200, "POST", b.Links.Self+"/reference", nil)
	if rotated.Reference == "" || rotated.Reference == b.Reference {
		t.Fatalf("rotated from %q to %q", b.Reference, rotated.Reference)
	}
	guest.refused(401, "GET", b.Links.Self, nil)
	guest.refused(404, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: b.Surname, Reference: b.Reference})
	call[struct{ Booking gateway.BookingView }](guest, 200, "POST", "/api/v1/bookings/lookup", gateway.LookupRequest{Surname: b.Surname, Reference: rotated.Reference})
	l.signedIn("soren").refused(404, "POST", b.Links.Self+"/reference", nil)
}

// Somebody who waits is told on their own topic when something frees.
func TestWaits(t *testing.T) {
	l := newLab(t)
	ada, soren, grace := l.signedIn("ada"), l.signedIn("soren"), l.signedIn("linus")
	request := gateway.BookRequest{Group: "everyone", Pool: "pendulums", Seconds: 600}
	first := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", request)
	call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", request)
	wish := gateway.WaitRequest{Group: "everyone", Pool: "pendulums", Seconds: 300, Until: l.clock.Now().Add(9 * time.Minute)}
	wait := call[gateway.WaitView](soren, 200, "POST", "/api/v1/waits", wish)
	again := call[gateway.WaitView](soren, 200, "POST", "/api/v1/waits", wish)
	if wait.Place != 1 || wait.ID != again.ID || wait.Title != "Pendulums" || wait.Offer != nil {
		t.Errorf("waits %+v, again %+v", wait, again)
	}
	ada.refused(404, "DELETE", "/api/v1/waits/"+wait.ID, nil)
	grace.refused(422, "POST", "/api/v1/waits", gateway.WaitRequest{Group: "everyone", Pool: "pendulums"})
	grace.refused(403, "POST", "/api/v1/waits", gateway.WaitRequest{Group: "physics-1", Pool: "pendulums", Seconds: 300})
	grace.refused(404, "POST", "/api/v1/waits", gateway.WaitRequest{Group: "everyone", Pool: "none", Seconds: 300})
	if got := ada.do("DELETE", first.Links.Self, nil); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	l.eventually("soren is told", func() bool {
		for _, m := range call[struct{ Messages []gateway.MessageView }](soren, 200, "GET", "/api/v1/messages", nil).Messages {
			if m.Type == "lodge.waiting" {
				return strings.Contains(fmt.Sprint(m.Data), wait.ID)
			}
		}
		return false
	})
	mine := call[struct{ Waits []gateway.WaitView }](soren, 200, "GET", "/api/v1/waits", nil).Waits
	if len(mine) != 1 || mine[0].Offer == nil || mine[0].Offer.Slot != first.Slot {
		t.Fatalf("soren waits %+v", mine)
	}
	call[gateway.BookingView](soren, 201, "POST", "/api/v1/bookings", gateway.BookRequest{
		Group: "everyone", Slot: mine[0].Offer.Slot, Start: mine[0].Offer.Start, Seconds: 300,
	})
	if mine := call[struct{ Waits []gateway.WaitView }](soren, 200, "GET", "/api/v1/waits", nil).Waits; len(mine) != 0 {
		t.Errorf("who has booked waits %+v", mine)
	}
	other := call[gateway.WaitView](ada, 200, "POST", "/api/v1/waits", wish)
	for range 2 {
		if got := ada.do("DELETE", "/api/v1/waits/"+other.ID, nil); got.status != http.StatusNoContent {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

// An instructor books for a student, and for the whole group.
func TestBookingOnBehalfOfStudents(t *testing.T) {
	l := newLab(t)
	grace, ada, soren := l.signedIn("grace"), l.signedIn("ada"), l.signedIn("soren")
	me := call[gateway.Me](ada, 200, "GET", "/api/v1/me", nil)
	request := gateway.BookRequest{Group: "physics-1", Slot: "pend01-physics-1", Start: l.clock.Now().Add(time.Hour), Seconds: 600, OnBehalf: &gateway.OnBehalf{Person: me.Person}}
	soren.refused(403, "POST", "/api/v1/bookings", request)
	made := call[gateway.BookingView](grace, 201, "POST", "/api/v1/bookings", request)
	if made.Reference != "" {
		t.Error("the instructor learns the reference of a student")
	}
	if own := call[gateway.BookingView](ada, 200, "GET", made.Links.Self, nil); own.Reference == "" || own.Surname != "Lovelace" {
		t.Errorf("the student's booking %+v", own)
	}
	request.OnBehalf = &gateway.OnBehalf{Person: "nobody"}
	grace.refused(404, "POST", "/api/v1/bookings", request)

	from := l.clock.Now().Add(2 * time.Hour)
	party := gateway.PartyRequest{Pool: "pendulums", From: from, Until: from.Add(time.Hour), Seconds: 600}
	path := "/api/v1/groups/physics-1/bookings"
	soren.refused(403, "POST", path, party)
	key := pair{"Idempotency-Key", "party"}
	places := call[gateway.PartyView](grace, 201, "POST", path, party, key).Places
	if len(places) < 2 {
		t.Fatalf("places %+v", places)
	}
	for _, p := range places {
		if p.Booking == "" || p.Detail != "" || !p.Start.Equal(from) && !p.Start.Equal(from.Add(10*time.Minute)) {
			t.Errorf("place %+v", p)
		}
	}
	again := call[gateway.PartyView](grace, 201, "POST", path, party, key).Places
	if fmt.Sprint(again) != fmt.Sprint(places) {
		t.Errorf("again %+v, was %+v", again, places)
	}
	party.Seconds = 3600
	got := grace.do("POST", path, gateway.PartyRequest{Slot: "pend01-physics-1", From: from, Until: from.Add(80 * time.Minute), Seconds: 3600})
	var refused struct {
		gateway.Problem
		Places []gateway.PlaceView
	}
	if err := json.Unmarshal(got.body, &refused); err != nil || got.status != 409 || len(refused.Places) == 0 || refused.Places[0].Detail == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	grace.refused(404, "POST", path, gateway.PartyRequest{Pool: "pendulums", Until: from.Add(time.Hour), Seconds: 600, Members: []string{"nobody"}})
	grace.refused(422, "POST", path, gateway.PartyRequest{Pool: "pendulums", Until: from.Add(time.Hour)})
}

// A launch is what keeps a booking from being a no-show.
func TestNoShowsAreCancelled(t *testing.T) {
	l := newLab(t)
	ada, soren := l.signedIn("ada"), l.signedIn("soren")
	request := gateway.BookRequest{Group: "physics-1", Slot: "pend00-physics-1", Seconds: 1800}
	came := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", request)
	request.Slot = "pend01-physics-1"
	absent := call[gateway.BookingView](soren, 201, "POST", "/api/v1/bookings", request)
	if came.ComeBy.Sub(came.Start) != 5*time.Minute {
		t.Errorf("to come by %v", came.ComeBy)
	}
	call[gateway.Activity](ada, 200, "POST", came.Links.Self+"/activity", nil)
	l.clock.pass(5 * time.Minute)
	l.eventually("the no-show is cancelled", func() bool {
		return call[gateway.BookingView](soren, 200, "GET", absent.Links.Self, nil).State == "cancelled"
	})
	if got := call[gateway.BookingView](ada, 200, "GET", came.Links.Self, nil); got.State != "booked" || !got.ComeBy.IsZero() {
		t.Errorf("who came has %+v", got)
	}
	soren.refused(422, "POST", absent.Links.Self+"/activity", nil)
}

// eventually asks until something is so, which must come within the deadline.
func (l *lab) eventually(what string, ok func() bool) {
	l.Helper()
	end := time.After(deadline)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			l.Fatalf("did not come: %s", what)
		case <-tick.C:
		}
	}
}
