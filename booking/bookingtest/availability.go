package bookingtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// look is a look of nobody's at a group of the lab's, for three hours.
func look(group string) booking.Look {
	return booking.Look{Tenant: tenant, Group: group, From: noon, Until: at(180)}
}

func (l *lab) available(look booking.Look) booking.AvailabilityPage {
	l.t.Helper()
	page, err := l.desk.Availability(l.t.Context(), look)
	must(l.t, err)
	return page
}

func testAvailability(t *testing.T, l *lab) {
	req := ask("ada")
	req.Start, req.Length = at(10), 10*time.Minute
	l.book(req)
	must(t, l.desk.SetState(t.Context(), tenant, "pend02", false, "", ""))
	early := look("everyone")
	early.From = at(-60)
	page := l.available(early)
	got := page.Slots
	if len(got) != 2 || got[0].Slot != "pend00-everyone" || got[1].Slot != "pend02-everyone" || page.More {
		t.Fatalf("slots %+v", page)
	}
	p, s := got[0], got[1]
	// The last booking starts in an hour and lasts ten minutes.
	if !slices.Equal(p.Free, []booking.Interval{span(0, 10), span(20, 70)}) || !p.StartBy.Equal(at(60)) || !p.KnownUntil.IsZero() {
		t.Errorf("pendulum %+v", p)
	}
	if p.Min != 3*time.Minute || p.Max != 10*time.Minute || !p.Online || s.Online {
		t.Errorf("Pendulum 0 %+v, Pendulum 2 %+v", p, s)
	}
	// The same rig is taken through every door.
	short := look("physics-1")
	short.Until = at(30)
	got = l.available(short).Slots
	if len(got) != 2 || !slices.Equal(got[0].Free, []booking.Interval{span(0, 10), span(20, 30)}) || !slices.Equal(got[1].Free, []booking.Interval{span(0, 30)}) {
		t.Errorf("physics %+v", got)
	}
	// A gap shorter than the shortest booking is none.
	l.book(course("soren", at(4), 20*time.Minute))
	if got = l.available(short).Slots; !slices.Equal(got[1].Free, []booking.Interval{span(24, 30)}) {
		t.Errorf("physics %+v", got)
	}
	_, err := l.desk.Availability(t.Context(), look("no such"))
	wantCode(t, err, lodge.CodeNotFound)
	long := look("everyone")
	long.Until = noon.AddDate(1, 0, 0)
	_, err = l.desk.Availability(t.Context(), long)
	wantCode(t, err, lodge.CodeRefused)
	none := look("everyone")
	none.From, none.Until = at(30), at(30)
	if got := l.available(none).Slots; len(got) != 2 || len(got[0].Free) != 0 {
		t.Errorf("nothing asked for: %+v", got)
	}
}

// Pages follow one another without a gap, whatever their length, and one behind
// the last slot is empty.
func testAvailabilityPages(t *testing.T, l *lab) {
	c := booking.Catalogue{
		Policies: map[string]booking.Policy{"p": {}}, UISets: map[string]booking.UISet{"u": {}}, Groups: map[string]booking.Group{"g": {Policies: []string{"p"}}},
		Experiments: map[string]booking.Experiment{"x": {}}, Slots: map[string]booking.Slot{},
	}
	var all []string
	for i := range booking.MaxSlots + 1 {
		all = append(all, fmt.Sprintf("s%03d", i))
		c.Slots[all[i]] = booking.Slot{Experiment: "x", Policy: "p", UISet: "u"}
	}
	must(t, l.desk.Apply(t.Context(), "wide", c))
	for limit, pages := range map[int]int{7: 29, 201: 2, 200: 2, 0: 2, 100: 3} {
		var seen []string
		count, more := 0, true
		for one := (booking.Look{Tenant: "wide", Group: "g", From: noon, Until: at(60), Limit: limit}); more; count++ {
			page := l.available(one)
			for _, s := range page.Slots {
				seen = append(seen, s.Slot)
			}
			one.After, more = seen[len(seen)-1], page.More
		}
		if !slices.Equal(seen, all) || count != pages {
			t.Errorf("with %d on a page: %d slots on %d pages", limit, len(seen), count)
		}
	}
	for _, behind := range []string{"s200", "t", "\xff"} {
		if page := l.available(booking.Look{Tenant: "wide", Group: "g", From: noon, Until: at(60), After: behind}); len(page.Slots) != 0 || page.More {
			t.Errorf("behind %q: %+v", behind, page)
		}
	}
}

// What is shown to somebody is what their own limits let them book.
func testAvailabilityOverrides(t *testing.T, l *lab) {
	l.desk.SetPeople(subjectsOf{"ada": {"dev:ada"}})
	l.apply(`overrides:
  ada: {subjects: ["dev:ada"], policy: everyone, book_ahead: 2h, min_duration: 4m, max_duration: 20m, ui_set: engineering}
  robot: {services: [timetable], max_duration: 40m}
`, booking.Decision{})
	for _, c := range []struct {
		person         lodge.PersonID
		service        string
		least, most    int
		startBy, until int
		set            string
	}{
		{"", "", 3, 10, 60, 70, "plain"},
		{"soren", "", 3, 10, 60, 70, "plain"},
		{"ada", "", 4, 20, 120, 140, "engineering"},
		{"soren", "timetable", 3, 40, 60, 100, "plain"},
		{"", "timetable", 3, 40, 60, 100, "plain"},
		{"ada", "timetable", 4, 20, 120, 140, "engineering"},
		{"soren", "other", 3, 10, 60, 70, "plain"},
	} {
		one := look("everyone")
		one.Person, one.Service = c.person, c.service
		got := l.available(one).Slots[0]
		if got.Min != time.Duration(c.least)*time.Minute || got.Max != time.Duration(c.most)*time.Minute || !got.StartBy.Equal(at(c.startBy)) ||
			!slices.Equal(got.Free, []booking.Interval{span(0, c.until)}) || got.UISet != c.set {
			t.Errorf("of %q through %q: %+v", c.person, c.service, got)
		}
	}
}

// Display guides suggest what can be booked, as much of it as they say.
func testSuggestions(t *testing.T, l *lab) {
	l.clock.move(20 * time.Second)
	l.apply(`guides:
  long: {label: half an hour, book_ahead: 24h, duration: 30m, max_slots: 3}
  three: {label: three minutes, book_ahead: 30m, duration: 3m, max_slots: 4}
  many: {book_ahead: 1000h, duration: 3m, max_slots: 1000000}
policies:
  everyone: {guides: [three, long, many], book_ahead: 1h, min_duration: 3m, max_duration: 10m}
`, booking.Decision{})
	req := ask("ada")
	req.Start, req.Length = at(8), 10*time.Minute
	l.book(req)
	got := l.available(look("everyone")).Slots[0].Suggestions
	if len(got) != 3 || got[0].Guide != "three" || got[0].Label != "three minutes" || got[0].Length != 3*time.Minute {
		t.Fatalf("suggested %+v", got)
	}
	// From the next minute on, beside what is taken, as many as the guide says.
	if want := []time.Time{at(1), at(4), at(18), at(21)}; !slices.EqualFunc(got[0].Starts, want, time.Time.Equal) {
		t.Errorf("suggested %v, want %v", got[0].Starts, want)
	}
	if len(got[1].Starts) != 0 {
		t.Errorf("what the policy refuses: %v", got[1].Starts)
	}
	if n := len(got[2].Starts); n != 17 { // 2 before, and every 3 minutes from 18 to an hour from now
		t.Errorf("%d suggested by a guide without a bound of its own", n)
	}
	// Each is accepted.
	for i, s := range got[2].Starts {
		one := ask(fmt.Sprint("p", i))
		one.Start, one.Length = s, got[2].Length
		l.book(one)
	}
	if got := l.available(look("everyone")).Slots[0].Suggestions[0].Starts; len(got) != 0 {
		t.Errorf("suggested of what is taken: %v", got)
	}
}
