package bookingtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
)

func testSec32DeskTenants(t *testing.T, l *lab) {
	b, reference := l.book(ask("ada"))
	_, err := l.desk.Get(t.Context(), "other", b.ID)
	wantCode(t, err, lodge.CodeNotFound)
	_, err = l.desk.Extend(t.Context(), "other", b.ID, 5*time.Minute)
	wantCode(t, err, lodge.CodeNotFound)
	_, err = l.desk.Cancel(t.Context(), "other", b.ID, "")
	wantCode(t, err, lodge.CodeNotFound)
	_, err = l.desk.Lookup(t.Context(), "other", b.Surname, reference, "192.0.2.1")
	wantCode(t, err, lodge.CodeNotFound)
	_, err = l.desk.State(t.Context(), "other", "pend00")
	wantCode(t, err, lodge.CodeNotFound)
	req := ask("ada")
	req.Tenant = "other"
	_, _, err = l.desk.Book(t.Context(), req)
	wantCode(t, err, lodge.CodeNotFound)
}

func testApply(t *testing.T, l *lab) {
	c, err := l.desk.Catalogue(t.Context(), tenant)
	must(t, err)
	if c.Experiments["pend00"].Streams[0].Topic != "pend00-data" || c.Title("pend00", "") != "Pendulum 0" {
		t.Errorf("catalogue %+v", c)
	}
	again, _, err := booking.ReadManifest(bytes.NewReader(samples.Lodge), "sample", false)
	must(t, err)
	must(t, l.desk.Apply(t.Context(), tenant, again))
	delete(again.Roles, "linus")
	wantCode(t, l.desk.Apply(t.Context(), tenant, again), lodge.CodeConflict)
	delete(again.Policies, "everyone")
	wantCode(t, l.desk.Apply(t.Context(), tenant, again), lodge.CodeRefused)
	none, err := l.desk.Catalogue(t.Context(), "other")
	if err != nil || len(none.Experiments) != 0 {
		t.Errorf("catalogue of nothing: %+v %v", none, err)
	}
}

func testBindings(t *testing.T, l *lab) {
	for subject, want := range map[string][]lodge.Binding{
		"dev:grace":   {{Role: lodge.RoleInstructor, Scope: lodge.ScopeTenant}},
		"dev:linus":   {{Role: lodge.RoleTechnician, Scope: "experiment:pend00"}},
		"dev:root":    {{Role: lodge.RoleAdministrator, Scope: lodge.ScopeTenant}},
		"dev:ada":     nil,
		"other:grace": nil,
		"grace":       nil,
	} {
		cat, err := l.desk.Catalogue(t.Context(), tenant)
		must(t, err)
		got := cat.Bindings(booking.Holder{Subjects: []string{subject}, Groups: []string{"everyone"}})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", subject, got)
		}
	}
	must(t, l.desk.Apply(t.Context(), "staffed", booking.Catalogue{Roles: map[string]booking.RoleBinding{
		"staff": {Role: "viewer", Scope: "tenant", Groups: []string{"staff"}},
		"twice": {Role: "viewer", Scope: "tenant", Subjects: []string{"dev:x"}},
	}}))
	cat, err := l.desk.Catalogue(t.Context(), "staffed")
	must(t, err)
	if got := cat.Bindings(booking.Holder{Subjects: []string{"dev:x"}, Groups: []string{"staff"}}); len(got) != 1 {
		t.Errorf("by group and subject: %v", got)
	}
}

func testBook(t *testing.T, l *lab) {
	l.clock.move(700 * time.Millisecond)
	b, reference := l.book(ask("ada"))
	if !b.Start.Equal(noon) || !b.End.Equal(at(5)) || b.State != booking.Booked || b.Experiment != "pend00" || b.UISet != "plain" {
		t.Errorf("booked %+v", b)
	}
	if len(reference) != 6 || strings.Trim(reference, booking.Digits) != "" {
		t.Errorf("reference %q", reference)
	}
	got, err := l.desk.Get(t.Context(), tenant, b.ID)
	if err != nil || got != b {
		t.Errorf("got %+v %v, want %+v", got, err, b)
	}
	if shown, err := l.desk.Reference(t.Context(), b); shown != reference || err != nil {
		t.Errorf("reference shown: %q %v", shown, err)
	}
	if got := l.effects.kinds(); !slices.Equal(got, []booking.EffectKind{booking.EffectBooked}) {
		t.Errorf("effects %v", got)
	}
	if l.effects.done[0].Booking != b {
		t.Errorf("effect's booking %+v", l.effects.done[0].Booking)
	}
	l.clock.move(5 * time.Minute)
	if got, err := l.desk.Get(t.Context(), tenant, b.ID); err != nil || got.State != booking.Ended {
		t.Errorf("after its end: %+v %v", got, err)
	}
}

func testBookRefusals(t *testing.T, l *lab) {
	taken := ask("ada")
	taken.Start, taken.Length = at(20), 10*time.Minute
	l.book(taken)
	for name, c := range map[string]struct {
		change func(*booking.Request)
		code   lodge.Code
		rule   string
		offer  booking.Interval
	}{
		"not in the group":   {func(r *booking.Request) { r.Groups = []string{"physics-1"} }, lodge.CodeForbidden, "group", booking.Interval{}},
		"group's other slot": {func(r *booking.Request) { r.Slot = "pend01-physics-1" }, lodge.CodeForbidden, "group", booking.Interval{}},
		"unknown slot":       {func(r *booking.Request) { r.Slot = "no" }, lodge.CodeNotFound, "", booking.Interval{}},
		"unknown group":      {func(r *booking.Request) { r.Group, r.Groups = "no", []string{"no"} }, lodge.CodeNotFound, "", booking.Interval{}},
		"too long":           {func(r *booking.Request) { r.Length = 11 * time.Minute }, lodge.CodeRefused, "max_duration", span(0, 10)},
		"too short":          {func(r *booking.Request) { r.Length = time.Minute }, lodge.CodeRefused, "min_duration", span(0, 3)},
		"zero":               {func(r *booking.Request) { r.Length = 0 }, lodge.CodeRefused, "interval", booking.Interval{}},
		"inverted":           {func(r *booking.Request) { r.Start, r.End = at(10), at(5) }, lodge.CodeRefused, "interval", booking.Interval{}},
		"empty":              {func(r *booking.Request) { r.Start, r.End = at(10), at(10) }, lodge.CodeRefused, "interval", booking.Interval{}},
		"negative":           {func(r *booking.Request) { r.Length = -time.Minute }, lodge.CodeRefused, "interval", booking.Interval{}},
		"overflowing":        {func(r *booking.Request) { r.Start, r.End = at(10), time.Date(290000, 1, 1, 0, 0, 0, 0, time.UTC) }, lodge.CodeRefused, "interval", booking.Interval{}},
		"overflowing length": {func(r *booking.Request) { r.Start, r.Length = time.Date(8999, 1, 1, 0, 0, 0, 0, time.UTC), 1<<63-1 }, lodge.CodeRefused, "interval", booking.Interval{}},
		"in the past":        {func(r *booking.Request) { r.Start = at(-1) }, lodge.CodeRefused, "start_in_past", span(0, 5)},
		"too far ahead":      {func(r *booking.Request) { r.Start = at(61) }, lodge.CodeRefused, "book_ahead", span(60, 65)},
		"clash":              {func(r *booking.Request) { r.Start = at(22) }, lodge.CodeConflict, "clash", span(22, 27)},
		"clash at its end":   {func(r *booking.Request) { r.Start, r.Length = at(18), 3*time.Minute }, lodge.CodeConflict, "clash", span(18, 21)},
		"outside the window": {func(r *booking.Request) { r.Start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) }, lodge.CodeRefused, "window", span(0, 5)},
		"no surname":         {func(r *booking.Request) { r.Surname = " -’ " }, lodge.CodeRefused, "surname", booking.Interval{}},
		"endless surname":    {func(r *booking.Request) { r.Surname = strings.Repeat("a", 1000) }, lodge.CodeRefused, "surname", booking.Interval{}},
		"nobody":             {func(r *booking.Request) { r.Person = "" }, lodge.CodeInvalid, "", booking.Interval{}},
		"endless key":        {func(r *booking.Request) { r.Key = strings.Repeat("k", 256) }, lodge.CodeInvalid, "", booking.Interval{}},
	} {
		req := ask("soren")
		c.change(&req)
		_, _, err := l.desk.Book(t.Context(), req)
		if lodge.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
			continue
		}
		details := wantCode(t, err, c.code)
		if rule, _ := details["rule"].(string); rule != c.rule {
			t.Errorf("%s: refused by %q, want %q", name, rule, c.rule)
		}
		if offer, _ := details["offer"].(booking.Opening); offer.Interval != c.offer {
			t.Errorf("%s: offer %v, want %v", name, offer, c.offer)
		} else if want := map[bool]string{true: "pend02-everyone", false: "pend00-everyone"}[c.rule == "clash"]; !offer.Start.IsZero() && offer.Slot != want {
			t.Errorf("%s: offers the slot %s, want %s", name, offer.Slot, want) // a clash is none on the stand-in
		}
		if conflict, ok := details["conflict"].(booking.Interval); ok != (c.rule == "clash") || ok && conflict != span(20, 30) {
			t.Errorf("%s: conflict %v", name, conflict)
		}
	}
	l.book(ask("soren"))
	later := ask("soren")
	later.Start = at(40)
	l.book(later)
	later.Start = at(50)
	_, _, err := l.desk.Book(t.Context(), later)
	if d := wantCode(t, err, lodge.CodeRefused); d["rule"] != "max_bookings" || d["value"] != 2 {
		t.Errorf("third booking: %v", d)
	}
	l.clock.move(5 * time.Minute) // the first has ended
	l.book(later)
}

func testBackToBack(t *testing.T, l *lab) {
	for i := range 4 {
		l.book(course(fmt.Sprint("p", i), at(5*i), 5*time.Minute))
	}
	_, _, err := l.desk.Book(t.Context(), course("p", at(0), 20*time.Minute))
	wantCode(t, err, lodge.CodeConflict)
	l.book(course("p", at(20), 5*time.Minute))
}

func testUnlimitedUsers(t *testing.T, l *lab) {
	must(t, l.desk.Apply(t.Context(), "simulated", booking.Catalogue{
		Experiments: map[string]booking.Experiment{"sim": {}},
		Policies:    map[string]booking.Policy{"p": {UnlimitedUsers: true}},
		UISets:      map[string]booking.UISet{"u": {}},
		Slots:       map[string]booking.Slot{"s": {Experiment: "sim", Policy: "p", UISet: "u"}},
		Groups:      map[string]booking.Group{"everyone": {Policies: []string{"p"}}},
	}))
	for i := range 5 {
		req := ask(fmt.Sprint("p", i))
		req.Tenant, req.Slot = "simulated", "s"
		b, _ := l.book(req)
		if b.Exclusive {
			t.Error("an exclusive booking of a simulation")
		}
		_, err := l.desk.Extend(t.Context(), "simulated", b.ID, time.Hour)
		must(t, err)
	}
}

// 64 people want overlapping times of one experiment; whatever wins, no two
// bookings share a moment, and each refusal is a conflict.
func testNoDoubleBooking(t *testing.T, l *lab) {
	var wg sync.WaitGroup
	var won, lost atomic.Int32
	for i := range 64 {
		wg.Go(func() {
			for j := range 6 {
				start := at((i*7 + j*11) % 50)
				group, slot := "everyone", "pend00-everyone"
				if (i+j)%2 == 0 { // the same rig through another door
					group, slot = "physics-1", "pend00-physics-1"
				}
				req := ask(fmt.Sprint("p", i))
				req.Group, req.Slot, req.Start, req.Length = group, slot, start, time.Duration(5+i%5)*time.Minute
				b, _, err := l.desk.Book(t.Context(), req)
				switch lodge.CodeOf(err) {
				case "":
					won.Add(1)
				case lodge.CodeConflict, lodge.CodeRefused:
					lost.Add(1)
					continue
				default:
					t.Errorf("booking: %v", err)
					continue
				}
				switch (i + j) % 3 {
				case 0:
					if _, err := l.desk.Extend(t.Context(), tenant, b.ID, 5*time.Minute); err != nil && lodge.CodeOf(err) != lodge.CodeConflict && lodge.CodeOf(err) != lodge.CodeRefused {
						t.Errorf("extending: %v", err)
					}
				case 1:
					if _, err := l.desk.Cancel(t.Context(), tenant, b.ID, "race"); err != nil {
						t.Errorf("cancelling: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	list, err := l.desk.ListByExperiment(t.Context(), tenant, "pend00", noon, time.Time{})
	must(t, err)
	if int(won.Load()) != len(list) || lost.Load() == 0 {
		t.Errorf("%d won, %d lost, %d in the register", won.Load(), lost.Load(), len(list))
	}
	list = slices.DeleteFunc(list, func(b booking.Booking) bool { return b.State == booking.Cancelled })
	for i := 1; i < len(list); i++ {
		if list[i-1].Interval().Overlaps(list[i].Interval()) {
			t.Errorf("double booking: %v and %v", list[i-1].Interval(), list[i].Interval())
		}
	}
}

func testIdempotencyKey(t *testing.T, l *lab) {
	req := ask("ada")
	req.Key = "once"
	type reply struct {
		b         booking.Booking
		reference string
	}
	replies := make([]reply, 16)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() {
			b, reference, err := l.desk.Book(t.Context(), req)
			if err != nil {
				t.Error(err)
			}
			replies[i] = reply{b, reference}
		})
	}
	wg.Wait()
	for _, r := range replies {
		if r != replies[0] {
			t.Errorf("replies differ: %+v, %+v", r, replies[0])
		}
	}
	if got := l.effects.kinds(); len(got) != 1 {
		t.Errorf("effects %v", got)
	}
	l.clock.move(time.Hour) // a retry may come late
	if b, reference := l.book(req); b.ID != replies[0].b.ID || reference != replies[0].reference {
		t.Errorf("an hour later: %+v %s", b, reference)
	}
	other := req
	other.Length = 6 * time.Minute
	_, _, err := l.desk.Book(t.Context(), other)
	wantCode(t, err, lodge.CodeRefused)
	mine := req
	mine.Person = "soren"
	if b, _ := l.book(mine); b.ID == replies[0].b.ID {
		t.Error("one person's key found another's booking")
	}
}

func testMaxBookingsRace(t *testing.T, l *lab) {
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 12 {
		wg.Go(func() {
			req := ask("ada")
			req.Start = at(5 * i)
			if _, _, err := l.desk.Book(t.Context(), req); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 2 {
		t.Errorf("%d bookings under a limit of 2", won.Load())
	}
}

func testExtend(t *testing.T, l *lab) {
	five := 5 * time.Minute
	b, reference := l.book(ask("ada"))
	l.clock.move(time.Minute)
	offers, err := l.desk.Extensions(t.Context(), b)
	if err != nil || !slices.Equal(offers, []time.Duration{five}) {
		t.Errorf("offers %v %v", offers, err)
	}
	longer, err := l.desk.Extend(t.Context(), tenant, b.ID, five)
	if err != nil || !longer.End.Equal(at(10)) || longer.ID != b.ID || longer.Version != 2 || longer.Charged != 10*time.Minute {
		t.Fatalf("extended %+v %v", longer, err)
	}
	if again, err := l.desk.Reference(t.Context(), longer); again != reference || err != nil {
		t.Errorf("the reference changed: %q %v", again, err)
	}
	_, err = l.desk.Extend(t.Context(), tenant, b.ID, five)
	if d := wantCode(t, err, lodge.CodeRefused); d["rule"] != "max_duration" {
		t.Errorf("over policy: %v", d)
	}
	for _, by := range []time.Duration{0, -five, time.Millisecond, 1<<63 - 1} {
		_, err = l.desk.Extend(t.Context(), tenant, b.ID, by)
		wantCode(t, err, lodge.CodeRefused)
	}

	c, _ := l.book(course("ada", at(10), five))
	l.book(course("soren", at(18), five))
	_, err = l.desk.Extend(t.Context(), tenant, c.ID, five)
	if d := wantCode(t, err, lodge.CodeConflict); d["conflict"] != span(18, 23) {
		t.Errorf("somebody is next: %v", d)
	}
	_, err = l.desk.Extend(t.Context(), tenant, c.ID, 3*time.Minute) // back to back
	must(t, err)
	l.clock.move(time.Hour)
	_, err = l.desk.Extend(t.Context(), tenant, c.ID, five)
	wantCode(t, err, lodge.CodeConflict)
	_, err = l.desk.Extend(t.Context(), tenant, "no such", five)
	wantCode(t, err, lodge.CodeNotFound)
	if got := l.effects.kinds(); !slices.Equal(got, []booking.EffectKind{"booked", "extended", "booked", "booked", "extended"}) {
		t.Errorf("effects %v", got)
	}
}

// What is charged, by rule: nothing before the start, the grace period within
// it, what was used later.
func testCancel(t *testing.T, l *lab) {
	for _, c := range []struct{ minute, charged int }{{-5, 0}, {0, 0}, {1, 5}, {5, 5}, {12, 12}} {
		b, _ := l.book(course("ada", l.clock.Now().Add(10*time.Minute), 20*time.Minute))
		l.clock.move(time.Duration(10+c.minute) * time.Minute)
		got, err := l.desk.Cancel(t.Context(), tenant, b.ID, "broken")
		if err != nil || got.State != booking.Cancelled || got.CancelReason != "broken" || got.Charged != time.Duration(c.charged)*time.Minute {
			t.Errorf("at minute %d: %+v %v, want %d charged", c.minute, got, err, c.charged)
		}
		again, err := l.desk.Cancel(t.Context(), tenant, b.ID, "again")
		if err != nil || again != got {
			t.Errorf("cancelled again: %+v %v", again, err)
		}
		_, err = l.desk.Extend(t.Context(), tenant, b.ID, 5*time.Minute)
		wantCode(t, err, lodge.CodeConflict)
		// What was freed can be booked at once.
		free, _ := l.book(course("soren", time.Time{}, 5*time.Minute))
		_, err = l.desk.Cancel(t.Context(), tenant, free.ID, "")
		must(t, err)
		l.clock.move(time.Hour)
	}
	b, _ := l.book(ask("ada"))
	l.clock.move(5 * time.Minute)
	_, err := l.desk.Cancel(t.Context(), tenant, b.ID, "")
	wantCode(t, err, lodge.CodeConflict)
	_, err = l.desk.Cancel(t.Context(), tenant, "no such", "")
	wantCode(t, err, lodge.CodeNotFound)
}

func testLists(t *testing.T, l *lab) {
	a, _ := l.book(ask("ada"))
	c, _ := l.book(course("ada", at(30), 10*time.Minute))
	s, _ := l.book(course("soren", at(50), 10*time.Minute))
	c, err := l.desk.Cancel(t.Context(), tenant, c.ID, "")
	must(t, err)
	check := func(what string, got []booking.Booking, err error, want ...booking.Booking) {
		t.Helper()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v %v, want %+v", what, got, err, want)
		}
	}
	list, err := l.desk.ListByPerson(t.Context(), tenant, "ada", noon, time.Time{})
	check("ada's", list, err, a, c)
	list, err = l.desk.ListByPerson(t.Context(), tenant, "ada", at(5), at(30))
	check("ada's between", list, err)
	list, err = l.desk.ListByExperiment(t.Context(), tenant, "pend01", noon, at(60))
	check("pend01's", list, err, c, s)
	list, err = l.desk.ListByExperiment(t.Context(), tenant, "pend02", noon, time.Time{})
	check("pend02's", list, err)
}

func testStates(t *testing.T, l *lab) {
	s, err := l.desk.State(t.Context(), tenant, "pend00")
	if err != nil || !s.Online {
		t.Errorf("at first %+v %v", s, err)
	}
	b, _ := l.book(ask("ada"))
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", false, "motor", "linus"))
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", false, "motor", "linus"))
	s, err = l.desk.State(t.Context(), tenant, "pend00")
	if want := (booking.ExperimentState{Experiment: "pend00", Reason: "motor", By: "linus", Since: noon}); err != nil || s != want {
		t.Errorf("off-line %+v %v", s, err)
	}
	if got, err := l.desk.Get(t.Context(), tenant, b.ID); err != nil || got.State != booking.Booked {
		t.Errorf("its booking: %+v %v", got, err)
	}
	l.clock.move(6 * time.Minute)
	_, _, err = l.desk.Book(t.Context(), ask("soren"))
	if d := wantCode(t, err, lodge.CodeConflict); d["rule"] != "online" {
		t.Errorf("booked from now: %v", d)
	}
	later := ask("soren")
	later.Start = at(30)
	l.book(later)
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", true, "", "linus"))
	l.book(ask("ada"))
	wantCode(t, l.desk.SetState(t.Context(), tenant, "no such", true, "", ""), lodge.CodeNotFound)
	if got := l.effects.kinds(); !slices.Equal(got, []booking.EffectKind{"booked", "offline", "booked", "online", "booked"}) {
		t.Errorf("effects %v", got)
	}
}
