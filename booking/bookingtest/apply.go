package bookingtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// change reads a change in Lodge's format.
func change(t *testing.T, text string) booking.Change {
	t.Helper()
	ch, faults, err := booking.ReadChange(strings.NewReader("lodge: v1\n"+text), "change", false)
	if err != nil {
		t.Fatal(err, faults)
	}
	return ch
}

func (l *lab) plan(text string) booking.Plan {
	l.t.Helper()
	p, err := l.desk.Plan(context.Background(), tenant, change(l.t, text), booking.Decision{})
	must(l.t, err)
	return p
}

func (l *lab) apply(text string, d booking.Decision) booking.Applied {
	l.t.Helper()
	done, err := l.desk.ApplyChange(context.Background(), tenant, change(l.t, text), d)
	must(l.t, err)
	return done
}

func (l *lab) refuses(text string, d booking.Decision, code lodge.Code) map[string]any {
	l.t.Helper()
	before, revision := l.exported()
	_, err := l.desk.ApplyChange(context.Background(), tenant, change(l.t, text), d)
	details := wantCode(l.t, err, code)
	if after, now := l.exported(); after != before || now != revision {
		l.t.Errorf("a refused change changed something: revision %d, then %d", revision, now)
	}
	return details
}

func (l *lab) exported() (string, uint64) {
	l.t.Helper()
	cat, revision, err := l.desk.Export(context.Background(), tenant, nil)
	must(l.t, err)
	text, err := cat.Manifest()
	must(l.t, err)
	return string(text), revision
}

func (l *lab) get(id string) booking.Booking {
	l.t.Helper()
	b, err := l.desk.Get(context.Background(), tenant, id)
	must(l.t, err)
	return b
}

func chosen(c booking.Choice) booking.Decision {
	return booking.Decision{By: "p-admin", Choices: booking.Choices{Default: c}}
}

func ops(list []booking.Op) (out []string) {
	for _, op := range list {
		out = append(out, fmt.Sprintf("%s %s", op.Action, op.Object))
	}
	return out
}

// A file holds any part of a catalogue; what it leaves out stays.
func testPartialChange(t *testing.T, l *lab) {
	const text = `
experiments: {pend03: {streams: [{for: data, scopes: [read]}]}}
policies: {everyone: {guides: [short], book_ahead: 2h, min_duration: 3m, max_duration: 10m, max_bookings: 2}}
remove: {roles: [grace, never-was]}
`
	p := l.plan(text)
	if got := ops(p.Ops); !slices.Equal(got, []string{"add experiments.pend03", "change policies.everyone", "remove roles.grace"}) {
		t.Errorf("plan: %v", got)
	}
	var fields []string
	for _, f := range p.Ops[1].Fields {
		fields = append(fields, fmt.Sprintf("%s %s->%s", f.Field, f.Before, f.After))
	}
	if got := fmt.Sprint(fields); got != `[book_ahead "1h0m0s"->"2h0m0s" description "everyone"->]` {
		t.Errorf("fields: %s", got)
	}
	before, _ := l.desk.Catalogue(t.Context(), tenant)
	done := l.apply(text, booking.Decision{Base: &p.Revision})
	if done.Revision != p.Revision+1 || len(done.Outcomes) != 0 {
		t.Errorf("applied: %+v", done)
	}
	after, err := l.desk.Catalogue(t.Context(), tenant)
	must(t, err)
	if len(after.Slots) != len(before.Slots) || len(after.Experiments) != 4 || len(after.Roles) != 2 || time.Duration(*after.Policies["everyone"].BookAhead) != 2*time.Hour {
		t.Errorf("after: %d slots, %d experiments, %d roles", len(after.Slots), len(after.Experiments), len(after.Roles))
	}
	if again := l.apply(text, booking.Decision{}); len(again.Ops) != 0 || again.Revision != done.Revision {
		t.Errorf("applied again: %+v", again)
	}
}

// Nothing goes by being left out, unless that is asked for, and then only of the
// kinds that the file has.
func testPrune(t *testing.T, l *lab) {
	ch := change(t, "roles: {root: {role: administrator, scope: tenant, subjects: ['dev:root']}}")
	p, err := l.desk.Plan(t.Context(), tenant, ch, booking.Decision{})
	must(t, err)
	if len(p.Ops) != 0 {
		t.Errorf("by omission: %v", ops(p.Ops))
	}
	ch.Prune = true
	p, err = l.desk.Plan(t.Context(), tenant, ch, booking.Decision{})
	must(t, err)
	if got := ops(p.Ops); !slices.Equal(got, []string{"remove roles.grace", "remove roles.linus"}) {
		t.Errorf("pruned: %v", got)
	}
}

func testApplyRefusals(t *testing.T, l *lab) {
	for name, text := range map[string]string{
		"a dangling reference":    "slots: {s: {experiment: gone, policy: everyone, ui_set: plain}}",
		"min above max":           "policies: {everyone: {min_duration: 20m, max_duration: 10m}}",
		"removed, but referred":   "remove: {experiments: [pend00]}",
		"put and removed":         "guides: {short: {duration: 5m, book_ahead: 1h, max_slots: 1}}\nremove: {guides: [short]}",
		"an override for nothing": "overrides: {o: {subjects: ['dev:ada'], policy: gone}}",
		"two streams of one name": "experiments: {x: {streams: [{for: data}, {for: data}]}}",
		"the relay's own topic":   "experiments: {x: {streams: [{for: data, topic: stats}]}}",
	} {
		ch, faults, err := booking.ReadChange(strings.NewReader("lodge: v1\n"+text), name, false)
		if err == nil {
			_, err = l.desk.ApplyChange(t.Context(), tenant, ch, booking.Decision{})
			wantCode(t, err, lodge.CodeRefused)
		} else if len(faults) == 0 || faults[0].Line == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := l.desk.ApplyChange(t.Context(), tenant, booking.Change{}, chosen("drop"))
	wantCode(t, err, lodge.CodeRefused)
	details := l.refuses("guides: {g: {duration: 5m}}", booking.Decision{May: func(_, after *booking.Catalogue, ops []booking.Op) error {
		if _, there := after.Guides["g"]; !there || len(ops) != 1 {
			t.Errorf("asked about %v", ops)
		}
		return lodge.E(lodge.CodeForbidden, "No.")
	}}, lodge.CodeForbidden)
	if len(details) > 0 {
		t.Errorf("details: %v", details)
	}
}

// Of two who planned with the same catalogue one wins; who changes something else
// is not in the way.
func testTwoApplies(t *testing.T, l *lab) {
	base := l.plan("guides: {short: {duration: 6m}}").Revision
	decision := booking.Decision{Base: &base}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = l.desk.ApplyChange(context.Background(), tenant, change(t, fmt.Sprintf("guides: {short: {duration: %dm}}", 10+i)), decision)
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if details := wantCode(t, err, lodge.CodeConflict); fmt.Sprint(details["changed"]) != "[guides.short]" {
			t.Errorf("conflict: %v", details)
		}
	}
	if won != 1 {
		t.Errorf("%d of them won", won)
	}
	l.apply("guides: {lab: {duration: 40m}}", decision)
	l.apply("remove: {roles: [grace]}", decision)
	l.refuses("roles: {grace: {role: viewer, scope: tenant, subjects: ['dev:grace']}}", decision, lodge.CodeConflict)
	ahead := base + 100
	l.refuses("guides: {lab: {duration: 41m}}", booking.Decision{Base: &ahead}, lodge.CodeConflict)
}

// pending makes a booking to come and one under way, of pend00 by everyone.
func (l *lab) pending() (underWay, toCome booking.Booking) {
	underWay, _ = l.book(ask("ada"))
	later := ask("soren")
	later.Start = noon.Add(30 * time.Minute)
	toCome, _ = l.book(later)
	l.clock.move(time.Minute)
	return underWay, toCome
}

const withoutPend00 = "pools: {pendulums: {experiments: [pend01, pend02]}}\nroles: {linus: {role: technician, scope: 'experiment:pend01', subjects: ['dev:linus']}}\nremove: {experiments: [pend00], slots: [pend00-everyone, pend00-physics-1]}"

func testTouchedAndCancelled(t *testing.T, l *lab) {
	now, later := l.pending()
	p := l.plan(withoutPend00)
	if len(p.Touched) != 2 || p.Touched[0].Booking.ID != now.ID || p.Touched[0].MoveTo != "pend02" ||
		!slices.Equal(p.Touched[0].Can, []booking.Choice{booking.MoveIt, booking.CancelIt}) {
		t.Fatalf("touched: %+v", p.Touched)
	}
	for _, b := range p.Touched[0].Because {
		if b.What != "is removed" {
			t.Errorf("because %+v", b)
		}
	}
	details := l.refuses(withoutPend00, booking.Decision{}, lodge.CodeRefused)
	if list, ok := details["bookings"].([]map[string]any); details["rule"] != "touched" || !ok || len(list) != 2 {
		t.Errorf("details: %v", details)
	}
	l.refuses(withoutPend00, chosen(booking.Keep), lodge.CodeRefused) // not without the experiment
	decision := chosen(booking.CancelIt)
	decision.Message = "The rig was taken apart."
	done := l.apply(withoutPend00, decision)
	if len(done.Outcomes) != 2 || done.Outcomes[0].Choice != booking.CancelIt {
		t.Errorf("outcomes: %+v", done.Outcomes)
	}
	for _, id := range []string{now.ID, later.ID} {
		if b := l.get(id); b.State != booking.Cancelled || b.CancelReason != "The rig was taken apart." {
			t.Errorf("after: %+v", b)
		}
	}
	if b := l.get(later.ID); b.Charged != 0 {
		t.Errorf("charged %v for what never began", b.Charged)
	}
	if got := l.effects.kinds(); count(got, booking.EffectCancelled) != 2 || count(got, booking.EffectCatalogue) != 1 {
		t.Errorf("effects: %v", got)
	}
}

func count[T comparable](list []T, want T) (n int) {
	for _, one := range list {
		if one == want {
			n++
		}
	}
	return n
}

// A booking moves to an experiment of the pool at the same time, with all that it
// is: its reference above all.
func testTouchedAndMoved(t *testing.T, l *lab) {
	b, reference := l.book(ask("ada"))
	done := l.apply(withoutPend00, chosen(booking.MoveIt))
	if len(done.Outcomes) != 1 || done.Outcomes[0].From != "pend00" || done.Outcomes[0].Booking.Experiment != "pend02" {
		t.Fatalf("outcomes: %+v", done.Outcomes)
	}
	after := l.get(b.ID)
	if after.Experiment != "pend02" || after.Slot != "pend02-everyone" || !after.Start.Equal(b.Start) || !after.End.Equal(b.End) || after.State != booking.Booked {
		t.Errorf("moved: %+v", after)
	}
	found, err := l.desk.Lookup(t.Context(), tenant, "Ó Briain", reference, "127.0.0.1")
	if err != nil || found.ID != b.ID {
		t.Errorf("by its reference: %v %v", found.ID, err)
	}
	if _, err := l.desk.Extend(t.Context(), tenant, b.ID, time.Minute); err != nil {
		t.Errorf("extended there: %v", err)
	}
	if got := l.effects.kinds(); count(got, booking.EffectMoved) != 1 {
		t.Errorf("effects: %v", got)
	}
	taken := ask("soren")
	taken.Slot = "pend02-everyone"
	_, _, err = l.desk.Book(t.Context(), taken)
	wantCode(t, err, lodge.CodeConflict)
}

// Without a free equivalent a booking cannot be moved: that is said, and nothing
// is done.
func testTouchedNoPlace(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	other := ask("soren")
	other.Slot = "pend02-everyone"
	taken, _ := l.book(other)
	p := l.plan(withoutPend00)
	if p.Touched[0].MoveTo != "" || !slices.Equal(p.Touched[0].Can, []booking.Choice{booking.CancelIt}) {
		t.Errorf("can %v, to %q", p.Touched[0].Can, p.Touched[0].MoveTo)
	}
	l.refuses(withoutPend00, chosen(booking.MoveIt), lodge.CodeRefused)
	if after := l.get(b.ID); after.Experiment != "pend00" || after.State != booking.Booked {
		t.Errorf("after a refusal: %+v", after)
	}
	// An experiment that is off-line is no help now.
	_, err := l.desk.Cancel(t.Context(), tenant, taken.ID, "")
	must(t, err)
	must(t, l.desk.SetState(t.Context(), tenant, "pend02", false, "broken", "linus"))
	l.refuses(withoutPend00, chosen(booking.MoveIt), lodge.CodeRefused)
}

// Choices go by booking, then by object (the furthest reaching), then by default.
func testChoices(t *testing.T, l *lab) {
	first, second := l.pending()
	const text = "policies: {everyone: {max_duration: 4m, book_ahead: 1h}}"
	if p := l.plan(text); len(p.Touched) != 2 || p.Touched[0].Because[0].What != "allows 4m at most" {
		t.Fatalf("touched: %+v", p.Touched)
	}
	policy := booking.ObjectID{Kind: "policies", Name: "everyone"}
	done := l.apply(text, booking.Decision{Choices: booking.Choices{
		Default:  booking.MoveIt,
		Objects:  map[booking.ObjectID]booking.Choice{policy: booking.CancelIt},
		Bookings: map[string]booking.Choice{first.ID: booking.Keep},
	}})
	if len(done.Outcomes) != 2 || done.Outcomes[0].Choice != booking.Keep || done.Outcomes[1].Choice != booking.CancelIt {
		t.Fatalf("outcomes: %+v", done.Outcomes)
	}
	if a, b := l.get(first.ID), l.get(second.ID); a.State != booking.Booked || b.State != booking.Cancelled {
		t.Errorf("after: %s %s", a.State, b.State)
	}
	// What was kept is not touched again by what changes elsewhere.
	if p := l.plan("policies: {everyone: {max_duration: 3m, book_ahead: 1h}}"); len(p.Touched) != 1 {
		t.Errorf("tightened further: %+v", p.Touched)
	}
	if p := l.plan("policies: {everyone: {max_duration: 4m, book_ahead: 2h}}"); len(p.Touched) != 0 {
		t.Errorf("only later bookings: %+v", p.Touched)
	}
}

// What bookings stand on touches them; what only dresses them does not.
func testWhatTouches(t *testing.T, l *lab) {
	l.book(ask("ada"))
	for text, want := range map[string]string{
		"descriptions: {pend00: {title: Another}}":                                         "",
		"guides: {short: {duration: 6m, book_ahead: 1h, max_slots: 3}}":                    "",
		"experiments: {pend01: {streams: []}}":                                             "",
		"experiments: {pend00: {streams: [{for: data, scopes: [read]}]}}":                  "experiments.pend00 has other streams",
		"windows: {open: {allowed: []}}":                                                   "windows.open does not allow its time",
		"groups: {everyone: {policies: []}}":                                               "groups.everyone may no longer use its policy",
		"policies: {everyone: {unlimited_users: true}}":                                    "policies.everyone lets everybody in at once",
		"policies: {everyone: {min_duration: 6m}}":                                         "policies.everyone asks for 6m at least",
		"slots: {pend00-everyone: {experiment: pend02, policy: everyone, ui_set: plain}}":  "slots.pend00-everyone leads to another experiment",
		"slots: {pend00-everyone: {experiment: pend00, policy: physics-1, ui_set: plain}}": "slots.pend00-everyone is under another policy",
		"remove: {slots: [pend00-everyone]}":                                               "slots.pend00-everyone is removed",
		"groups: {other: {policies: [everyone]}}\nremove: {groups: [everyone]}":            "groups.everyone is removed",
	} {
		var got []string
		for _, touch := range l.plan(text).Touched {
			for _, b := range touch.Because {
				got = append(got, b.Object.String()+" "+b.What)
			}
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// New streams of an experiment reach the codes that are out.
func testKeptWithOtherStreams(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	l.apply("experiments: {pend00: {description: pend00, streams: [{for: data, scopes: [read]}]}}", chosen(booking.Keep))
	if got := l.effects.kinds(); count(got, booking.EffectRenewed) != 1 || l.get(b.ID).State != booking.Booked {
		t.Errorf("effects: %v", got)
	}
}

// A file can say whether an experiment is in service; one that does not leaves it.
func testStateInFile(t *testing.T, l *lab) {
	text, _ := l.exported()
	off := strings.Replace(text, "  pend00:\n", "  pend00:\n    state: {online: false, reason: oiled}\n", 1)
	read := func(s string) booking.Change {
		ch, _, err := booking.ReadChange(strings.NewReader(s), "x", false)
		must(t, err)
		return ch
	}
	done, err := l.desk.ApplyChange(t.Context(), tenant, read(off), booking.Decision{By: "linus"})
	must(t, err)
	if got := ops(done.Ops); !slices.Equal(got, []string{"change experiments.pend00"}) {
		t.Errorf("ops: %v", got)
	}
	state, err := l.desk.State(t.Context(), tenant, "pend00")
	if err != nil || state.Online || state.Reason != "oiled" || state.By != "linus" {
		t.Errorf("state: %+v %v", state, err)
	}
	if count(l.effects.kinds(), booking.EffectOffline) != 1 {
		t.Errorf("effects: %v", l.effects.kinds())
	}
	_, err = l.desk.ApplyChange(t.Context(), tenant, read(text), booking.Decision{})
	must(t, err)
	if state, _ = l.desk.State(t.Context(), tenant, "pend00"); state.Online {
		t.Error("a file that says nothing of it gave the experiment back")
	}
	// What is exported now says so, and changes nothing.
	again, _ := l.exported()
	if !strings.Contains(again, "oiled") {
		t.Error("the export does not say that it is off-line")
	}
	done, err = l.desk.ApplyChange(t.Context(), tenant, read(again), booking.Decision{})
	if err != nil || len(done.Ops) != 0 {
		t.Errorf("the export applied: %v %v", ops(done.Ops), err)
	}
}

// The manifest that is in force, applied again, empties no diary: the fault of
// practable's booking.
func testReuploadKeepsDiaries(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	text, revision := l.exported()
	ch, _, err := booking.ReadChange(bytes.NewReader([]byte(text)), "export", false)
	must(t, err)
	ch.Prune = true
	done, err := l.desk.ApplyChange(t.Context(), tenant, ch, booking.Decision{})
	if err != nil || len(done.Ops) != 0 || done.Revision != revision {
		t.Fatalf("applied: %+v %v", done, err)
	}
	_, _, err = l.desk.Book(t.Context(), ask("soren"))
	wantCode(t, err, lodge.CodeConflict)
	if l.get(b.ID).State != booking.Booked {
		t.Error("the booking is gone")
	}
}

type subjectsOf map[lodge.PersonID][]string

func (s subjectsOf) Subjects(_ context.Context, _ lodge.Tenant, p lodge.PersonID) ([]string, error) {
	return s[p], nil
}

// Limits and UIs of a person, and of a service, count instead of the group's.
func testOverrides(t *testing.T, l *lab) {
	l.desk.SetPeople(subjectsOf{"ada": {"dev:ada", "other:ada"}})
	l.apply(`overrides:
  all: {subjects: ["dev:ada"], max_duration: 20m, ui_set: engineering}
  one: {subjects: ["other:ada"], policy: everyone, max_duration: 30m, max_bookings: 1}
  robot: {services: [timetable], policy: everyone, max_duration: 40m}
`, booking.Decision{})
	long := func(person, service string, minutes int) booking.Request {
		r := ask(person)
		r.Length, r.Service = time.Duration(minutes)*time.Minute, service
		return r
	}
	refused := func(r booking.Request, rule string) {
		t.Helper()
		_, _, err := l.desk.Book(t.Context(), r)
		if got := wantCode(t, err, lodge.CodeRefused)["rule"]; got != rule {
			t.Errorf("refused by %v, want %s", got, rule)
		}
	}
	refused(long("soren", "", 11), "max_duration")
	refused(long("soren", "timetable", 41), "max_duration")
	refused(long("ada", "timetable", 31), "max_duration") // a person's before a service's
	b, _ := l.book(long("ada", "", 25))
	if b.UISet != "engineering" {
		t.Errorf("UI set %q", b.UISet)
	}
	refused(long("ada", "", 5), "max_bookings")
	if _, err := l.desk.Extend(t.Context(), tenant, b.ID, 5*time.Minute); err != nil {
		t.Errorf("extended within the own limit: %v", err)
	}
	_, err := l.desk.Extend(t.Context(), tenant, b.ID, 5*time.Minute)
	wantCode(t, err, lodge.CodeRefused)
}
