package bookingtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/booking"
)

// synthetic is a practable manifest as large as production ones: 110 experiments,
// 540 slots, 20 policies.
func synthetic() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("windows:\n  w: {allowed: [{start: 2026-01-01T00:00:00Z, end: 2027-01-01T00:00:00Z}]}\n")
	p("streams:\n  data: {for: data, topic: auto, scopes: [read, write]}\n")
	p("uis:\n  u: {url: x, streams_required: [data]}\nui_sets:\n  us: {uis: [u]}\nresources:\n")
	for i := range 110 {
		p("  r%d: {topic_stub: r%d, streams: [data]}\n", i, i)
	}
	p("slots:\n")
	for i := range 540 {
		p("  s%d: {resource: r%d, policy: p%d, ui_set: us, window: w}\n", i, i%110, i%20)
	}
	p("policies:\n")
	for i := range 20 {
		p("  p%d:\n    slots: [", i)
		for s := i; s < 540; s += 20 {
			p("s%d, ", s)
		}
		p("]\n")
	}
	p("groups:\n  g: {policies: [p0]}\n")
	return b.String()
}

// A catalogue of a real laboratory's size is imported, and imported again under live
// bookings without touching one.
func testSynthetic(t *testing.T, l *lab) {
	text := synthetic()
	began := time.Now()
	ch, faults, err := booking.ReadChange(strings.NewReader(text), "synthetic", false)
	if err != nil {
		t.Fatal(err, faults)
	}
	done, err := l.desk.ApplyChange(t.Context(), "synthetic", ch, booking.Decision{})
	must(t, err)
	t.Logf("imported %d objects in %v", len(done.Ops), time.Since(began))
	for i := range 27 {
		r := ask(fmt.Sprint("p", i))
		r.Tenant, r.Groups, r.Group, r.Slot, r.Start = "synthetic", []string{"g"}, "g", fmt.Sprintf("s%d", i*20), noon.Add(time.Duration(i)*10*time.Minute)
		l.book(r)
	}
	ch.Prune = true
	plan, err := l.desk.Plan(t.Context(), "synthetic", ch, booking.Decision{})
	must(t, err)
	again, err := l.desk.ApplyChange(t.Context(), "synthetic", ch, booking.Decision{})
	must(t, err)
	if len(plan.Ops)+len(plan.Touched)+len(again.Ops)+len(again.Outcomes) != 0 || again.Revision != done.Revision {
		t.Errorf("applied again: %d ops, %d touched", len(again.Ops), len(plan.Touched))
	}
}
