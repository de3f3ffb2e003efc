package bookingtest

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// anyPendulum asks for whatever pendulum there is.
func anyPendulum(person string) booking.Request {
	r := ask(person)
	r.Slot, r.Pool = "", "pendulums"
	return r
}

// testPool: the first of the pool's order that is on-line and free is assigned.
func testPool(t *testing.T, l *lab) {
	first, _ := l.book(anyPendulum("ada"))
	second, _ := l.book(anyPendulum("soren"))
	if first.Experiment != "pend00" || second.Experiment != "pend02" || second.Slot != "pend02-everyone" || second.Pool != "pendulums" {
		t.Errorf("assigned %+v and %+v", first, second)
	}
	_, _, err := l.desk.Book(t.Context(), anyPendulum("grace"))
	d := wantCode(t, err, lodge.CodeConflict)
	if offer, _ := d["offer"].(booking.Opening); d["rule"] != "clash" || offer != (booking.Opening{Interval: span(5, 10), Slot: "pend00-everyone"}) {
		t.Errorf("when all are taken: %v", d)
	}
	later := anyPendulum("grace")
	later.Start = at(20)
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", false, "motor", ""))
	if b, _ := l.book(later); b.Experiment != "pend02" {
		t.Errorf("with pend00 off-line: %+v", b)
	}
	later.Person = "linus"
	if b, _ := l.book(later); b.Experiment != "pend00" {
		t.Errorf("what is off-line may be back later: %+v", b)
	}
	l.clock.move(6 * time.Minute)
	now := anyPendulum("margaret")
	now.Key = "k"
	b, reference := l.book(now)
	if again, same := l.book(now); b.Experiment != "pend02" || again.ID != b.ID || same != reference {
		t.Errorf("from now: %+v and again %+v", b, again)
	}
	now.Pool, now.Slot = "", "pend02-everyone"
	_, _, err = l.desk.Book(t.Context(), now)
	wantCode(t, err, lodge.CodeRefused) // the key was for something else
}

func testPoolRefusals(t *testing.T, l *lab) {
	for name, c := range map[string]struct {
		change func(*booking.Request)
		code   lodge.Code
		rule   string
		offer  booking.Interval
	}{
		"unknown pool":  {func(r *booking.Request) { r.Pool = "no" }, lodge.CodeNotFound, "", booking.Interval{}},
		"slot and pool": {func(r *booking.Request) { r.Slot = "pend00-everyone" }, lodge.CodeInvalid, "", booking.Interval{}},
		"neither":       {func(r *booking.Request) { r.Pool = "" }, lodge.CodeInvalid, "", booking.Interval{}},
		"not a member":  {func(r *booking.Request) { r.Groups = nil }, lodge.CodeForbidden, "group", booking.Interval{}},
		"too long":      {func(r *booking.Request) { r.Length = time.Hour }, lodge.CodeRefused, "max_duration", span(0, 10)},
		"too far ahead": {func(r *booking.Request) { r.Start = at(90) }, lodge.CodeRefused, "book_ahead", span(60, 65)},
	} {
		req := anyPendulum("ada")
		c.change(&req)
		_, _, err := l.desk.Book(t.Context(), req)
		if lodge.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d := wantCode(t, err, c.code)
		rule, _ := d["rule"].(string)
		if offer, _ := d["offer"].(booking.Opening); rule != c.rule || offer.Interval != c.offer {
			t.Errorf("%s: %v", name, d)
		}
	}
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", false, "", ""))
	must(t, l.desk.SetState(t.Context(), tenant, "pend02", false, "", ""))
	_, _, err := l.desk.Book(t.Context(), anyPendulum("ada"))
	if d := wantCode(t, err, lodge.CodeConflict); d["rule"] != "online" {
		t.Errorf("with all off-line: %v", d)
	}
}

// testPoolMoves: what was booked as any of a pool moves when its experiment goes
// off-line before the start; what was booked as itself, and what has begun, stays.
func testPoolMoves(t *testing.T, l *lab) {
	begun, _ := l.book(anyPendulum("ada"))
	later := anyPendulum("soren")
	later.Start = at(20)
	coming, reference := l.book(later)
	own := ask("grace")
	own.Start = at(40)
	itself, _ := l.book(own)
	blocked := anyPendulum("linus")
	blocked.Start = at(50)
	stays, _ := l.book(blocked)
	other := ask("margaret")
	other.Slot, other.Start = "pend02-everyone", at(50)
	l.book(other)
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", false, "motor", "linus"))
	for _, c := range []struct {
		b          booking.Booking
		experiment string
	}{{begun, "pend00"}, {coming, "pend02"}, {itself, "pend00"}, {stays, "pend00"}} {
		got, err := l.desk.Get(t.Context(), tenant, c.b.ID)
		if err != nil || got.Experiment != c.experiment || got.Start != c.b.Start || got.State != booking.Booked {
			t.Errorf("%s has %+v %v, want %s", c.b.Owner, got, err, c.experiment)
		}
	}
	if found, err := l.lookup("obriain", reference, "192.0.2.1"); err != nil || found.ID != coming.ID || found.Slot != "pend02-everyone" {
		t.Errorf("looked up %+v %v", found, err)
	}
	l.effects.mu.Lock()
	defer l.effects.mu.Unlock()
	told := 0
	for _, e := range l.effects.done {
		if e.Kind == booking.EffectMoved {
			told++
			if e.Booking.ID != coming.ID || e.Reason == "" {
				t.Errorf("told %+v", e)
			}
		}
	}
	if told != 1 {
		t.Errorf("%d were told that they moved", told)
	}
}
