package bookingtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// members are so many people of a group.
func members(n int) []booking.Member {
	var out []booking.Member
	for i := range n {
		out = append(out, booking.Member{Person: lodge.PersonID(fmt.Sprint("m", i)), Name: fmt.Sprint("Member ", i), Surname: "Müller"})
	}
	return out
}

func physics(n int) booking.PartyRequest {
	return booking.PartyRequest{
		Tenant: tenant, Group: "physics-1", Pool: "pendulums", Members: members(n), From: at(10), Until: at(60), Length: 10 * time.Minute,
	}
}

func wantPlaces(t *testing.T, places []booking.Place, want ...string) {
	t.Helper()
	if len(places) != len(want) {
		t.Fatalf("%d places, want %d", len(places), len(want))
	}
	for i, p := range places {
		got := fmt.Sprint(p.Person, " ", p.Booking.Experiment, " ", p.Booking.Start.Sub(noon), "-", p.Booking.End.Sub(noon))
		if p.Refused != nil {
			got = fmt.Sprint(p.Person, " ", p.Refused.Details["rule"])
		}
		if got != want[i] {
			t.Errorf("place %d: %s, want %s", i, got, want[i])
		}
	}
}

// testParty: side by side through a pool, one after another through a slot, and
// around what is taken.
func testParty(t *testing.T, l *lab) {
	l.book(course("other", at(15), 10*time.Minute)) // pend01
	req := physics(4)
	req.Key = "k"
	places, err := l.desk.BookParty(t.Context(), req)
	must(t, err)
	wantPlaces(t, places, "m0 pend00 10m0s-20m0s", "m1 pend00 20m0s-30m0s", "m2 pend01 25m0s-35m0s", "m3 pend00 30m0s-40m0s")
	again, err := l.desk.BookParty(t.Context(), req)
	must(t, err)
	for i := range places {
		if again[i].Booking.ID != places[i].Booking.ID {
			t.Errorf("again: %+v, was %+v", again[i], places[i])
		}
		mine, err := l.desk.Get(t.Context(), tenant, places[i].Booking.ID)
		if err != nil || mine.Owner != places[i].Person || mine.Surname != "Müller" || mine.Pool != "pendulums" {
			t.Errorf("%+v %v", mine, err)
		}
		reference, err := l.desk.Reference(t.Context(), mine)
		must(t, err)
		if found, err := l.lookup("mueller", reference, "192.0.2.1"); err != nil || found.ID != mine.ID {
			t.Errorf("looked up: %+v %v", found, err)
		}
	}
	one := physics(2)
	one.Pool, one.Slot, one.From = "", "pend01-physics-1", time.Time{}
	places, err = l.desk.BookParty(t.Context(), one)
	must(t, err)
	wantPlaces(t, places, "m0 pend01 0s-10m0s", "m1 pend01 35m0s-45m0s")
	if got := l.effects.kinds(); len(got) != 7 {
		t.Errorf("effects %v", got)
	}
}

// testPartyAllOrNobody: a party that somebody does not fit in leaves nothing, and
// tells who it was and why.
func testPartyAllOrNobody(t *testing.T, l *lab) {
	for range 4 { // as many as one may hold
		l.book(course("m1", l.clock.Now().Add(2*time.Hour), 5*time.Minute))
		l.clock.move(6 * time.Minute)
	}
	from := l.clock.Now().Truncate(time.Second)
	req := physics(6)
	req.From, req.Until = from, from.Add(20*time.Minute)
	req.Members[3].Surname = ""
	offset := from.Sub(noon)
	places, err := l.desk.BookParty(t.Context(), req)
	wantCode(t, err, lodge.CodeConflict)
	if len(places) != 6 || places[0].Booking != (booking.Booking{}) {
		t.Errorf("places %+v", places)
	}
	list, err := l.desk.ListByPerson(t.Context(), tenant, "m0", noon, time.Time{})
	if err != nil || len(list) != 0 {
		t.Errorf("left over: %+v %v", list, err)
	}
	if _, err := l.desk.Waiting(t.Context(), tenant, "m0"); err != nil {
		t.Error(err)
	}

	req.Partial = true
	places, err = l.desk.BookParty(t.Context(), req)
	must(t, err)
	span := func(i int) string {
		return fmt.Sprint(offset+time.Duration(i)*10*time.Minute, "-", offset+time.Duration(i+1)*10*time.Minute)
	}
	wantPlaces(t, places, "m0 pend00 "+span(0), "m1 max_bookings", "m2 pend01 "+span(0), "m3 surname", "m4 pend00 "+span(1), "m5 pend01 "+span(1))
	req.Members = members(7)[6:]
	req.Partial = false
	places, err = l.desk.BookParty(t.Context(), req)
	wantCode(t, err, lodge.CodeConflict)
	wantPlaces(t, places, "m6 clash")
}

func testPartyRefusals(t *testing.T, l *lab) {
	for name, c := range map[string]struct {
		change func(*booking.PartyRequest)
		code   lodge.Code
	}{
		"nobody":           {func(r *booking.PartyRequest) { r.Members = nil }, lodge.CodeRefused},
		"everybody":        {func(r *booking.PartyRequest) { r.Members = members(301) }, lodge.CodeRefused},
		"slot and pool":    {func(r *booking.PartyRequest) { r.Slot = "pend00-physics-1" }, lodge.CodeInvalid},
		"another's slot":   {func(r *booking.PartyRequest) { r.Pool, r.Slot = "", "pend00-everyone" }, lodge.CodeForbidden},
		"unknown pool":     {func(r *booking.PartyRequest) { r.Pool = "no" }, lodge.CodeNotFound},
		"no length":        {func(r *booking.PartyRequest) { r.Length = 0 }, lodge.CodeRefused},
		"inverted":         {func(r *booking.PartyRequest) { r.Until = at(5) }, lodge.CodeRefused},
		"too long":         {func(r *booking.PartyRequest) { r.Until = noon.AddDate(1, 0, 0) }, lodge.CodeRefused},
		"end of the world": {func(r *booking.PartyRequest) { r.Until = time.Date(290000, 1, 1, 0, 0, 0, 0, time.UTC) }, lodge.CodeRefused},
		"endless key":      {func(r *booking.PartyRequest) { r.Key = string(make([]byte, 256)) }, lodge.CodeInvalid},
	} {
		req := physics(1)
		c.change(&req)
		if _, err := l.desk.BookParty(t.Context(), req); lodge.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}
