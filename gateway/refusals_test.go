package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
)

// A refusal is all that a refused booking or extension is answered with.
type refusal struct {
	gateway.Problem
	Rule     string                `json:"rule"`
	Value    any                   `json:"value"`
	Conflict *gateway.IntervalView `json:"conflict"`
	Offer    *struct {
		gateway.IntervalView
		Slot string `json:"slot"`
	} `json:"offer"`
}

// text is a refusal in short: status, rule, value, what is in the way and what is
// offered, in minutes from a moment.
func (r refusal) text(from time.Time) string {
	minutes := func(i gateway.IntervalView) string {
		return fmt.Sprintf("%v-%v", i.Start.Sub(from).Minutes(), i.End.Sub(from).Minutes())
	}
	out := []string{fmt.Sprint(r.Status), r.Rule}
	if r.Value != nil {
		out = append(out, fmt.Sprint(r.Value))
	}
	if r.Conflict != nil {
		out = append(out, "taken "+minutes(*r.Conflict))
	}
	if r.Offer != nil {
		out = append(out, "offers "+r.Offer.Slot+" "+minutes(r.Offer.IntervalView))
	}
	return strings.Join(out, ", ")
}

// refuses sends what is to be refused and says how it was.
func (b *browser) refuses(from time.Time, path string, body any) string {
	b.Helper()
	got := b.do("POST", path, body)
	var r refusal
	if err := json.Unmarshal(got.body, &r); err != nil || got.status < 400 || r.Status != got.status {
		b.Fatalf("POST %s: %d %s", path, got.status, got.body)
	}
	if len(r.Detail) < 20 || !strings.HasSuffix(r.Detail, ".") || strings.Contains(got.header.Get("Content-Type"), "html") {
		b.Errorf("POST %s: %q is no help", path, r.Detail)
	}
	return r.text(from)
}

// ruledCatalogue is a catalogue of one policy, slot and experiment for each rule.
func ruledCatalogue(now time.Time) string {
	var policies, slots, experiments, names []string
	for name, rule := range map[string]string{
		"ahead": "book_ahead: 1h", "past": "", "lately": "allow_start_in_past_within: 2m", "soon": "starts_within: 10m",
		"next": "next_available: 5m", "one": "max_bookings: 1", "usage": "max_usage: 30m", "least": "min_duration: 5m", "most": "max_duration: 10m",
		"shut": "", "taken": "", "stopped": "", "gone": "",
	} {
		names = append(names, name)
		policies = append(policies, name+": {"+rule+"}")
		experiments = append(experiments, name+": {}")
		window := ""
		if name == "shut" {
			window = ", window: tomorrow"
		}
		slots = append(slots, name+": {experiment: "+name+", policy: "+name+", ui_set: plain"+window+"}")
	}
	list := func(items []string) string { return strings.Join(items, ", ") }
	day := now.Add(24 * time.Hour)
	return "experiments: {" + list(experiments) + "}\npolicies: {" + list(policies) + "}\nslots: {" + list(slots) + "}\n" +
		"windows: {tomorrow: {allowed: [{start: " + day.Format(time.RFC3339) + ", end: " + day.Add(time.Hour).Format(time.RFC3339) + "}]}}\n" +
		"groups: {everyone: {policies: [everyone, " + list(names) + "]}}\n"
}

// Every rule refuses with its own name, its value, what is in the way and the
// nearest that would be accepted; and what is offered is accepted.
func TestEveryRuleRefusesByName(t *testing.T) {
	l := newLab(t)
	now := l.clock.Now()
	root, ada, soren := l.signedIn("root"), l.signedIn("ada"), l.signedIn("soren")
	root.applies(ruledCatalogue(now))
	l.must(l.desk.SetState(t.Context(), "default", "stopped", false, "New bearings.", "test"))
	wish := func(slot string, start, seconds int) gateway.BookRequest {
		return gateway.BookRequest{Group: "everyone", Slot: slot, Start: now.Add(time.Duration(start) * time.Minute), Seconds: seconds}
	}
	call[gateway.BookingView](soren, 201, "POST", "/api/v1/bookings", wish("taken", 10, 600))
	call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", wish("one", 0, 300))

	request := func(change func(*gateway.BookRequest)) gateway.BookRequest {
		r := wish("past", 0, 300)
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		request gateway.BookRequest
		want    string
	}{
		"book_ahead":                 {wish("ahead", 120, 300), "422, book_ahead, 1h0m0s, offers ahead 60-65"},
		"start_in_past":              {wish("past", -1, 300), "422, start_in_past, offers past 0-5"},
		"allow_start_in_past_within": {wish("lately", -3, 300), "422, allow_start_in_past_within, 2m0s, offers lately 0-5"},
		"starts_within":              {wish("soon", 20, 300), "422, starts_within, 10m0s, offers soon 10-15"},
		"next_available":             {wish("next", 20, 300), "422, next_available, 5m0s, offers next 0-5"},
		"max_bookings":               {wish("one", 60, 300), "422, max_bookings, 1"},
		"max_usage":                  {wish("usage", 0, 3600), "422, max_usage, 30m0s, offers usage 0-30"},
		"min_duration":               {wish("least", 0, 60), "422, min_duration, 5m0s, offers least 0-5"},
		"max_duration":               {wish("most", 0, 3600), "422, max_duration, 10m0s, offers most 0-10"},
		"window":                     {wish("shut", 0, 300), "422, window, offers shut 1440-1445"},
		"clash":                      {wish("taken", 12, 300), "409, clash, taken 10-20, offers taken 20-25"},
		"online":                     {wish("stopped", 0, 300), "409, online"},
		"interval":                   {request(func(r *gateway.BookRequest) { r.Start = time.Date(9500, 1, 1, 0, 0, 0, 0, time.UTC) }), "422, interval"},
		"group, not in it":           {request(func(r *gateway.BookRequest) { r.Group, r.Slot = "physics-1", "past" }), "403, group, physics-1"},
		"no length":                  {request(func(r *gateway.BookRequest) { r.Seconds = 0 }), "422, "},
		"no such slot":               {request(func(r *gateway.BookRequest) { r.Slot = "none" }), "404, "},
		"no such pool":               {request(func(r *gateway.BookRequest) { r.Slot, r.Pool = "", "none" }), "404, "},
		"slot and pool":              {request(func(r *gateway.BookRequest) { r.Pool = "pendulums" }), "400, "},
		"for somebody else":          {request(func(r *gateway.BookRequest) { r.OnBehalf = &gateway.OnBehalf{Name: "X", Surname: "X"} }), "403, "},
	} {
		got := ada.refuses(now, "/api/v1/bookings", c.request)
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
			continue
		}
		if _, offer, there := strings.Cut(got, "offers "); there {
			var slot string
			var from, to int
			if _, err := fmt.Sscanf(offer, "%s %d-%d", &slot, &from, &to); err != nil {
				t.Fatal(err)
			}
			b := call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", wish(slot, from, (to-from)*60))
			call[gateway.BookingView](ada, 200, "DELETE", b.Links.Self, nil)
		}
	}
	guest := request(func(r *gateway.BookRequest) { r.OnBehalf = &gateway.OnBehalf{Name: "Somebody", Surname: "’"} })
	if got := l.signedIn("grace").refuses(now, "/api/v1/bookings", guest); got != "422, surname" {
		t.Errorf("surname: %s", got)
	}
}

// An extension is refused like a booking, by the rules that it can break.
func TestEveryRuleRefusesExtensionsByName(t *testing.T) {
	l := newLab(t)
	now := l.clock.Now()
	root, ada, soren := l.signedIn("root"), l.signedIn("ada"), l.signedIn("soren")
	root.applies(ruledCatalogue(now))
	booked := func(slot string, start, seconds int) gateway.BookingView {
		return call[gateway.BookingView](ada, 201, "POST", "/api/v1/bookings", gateway.BookRequest{
			Group: "everyone", Slot: slot, Start: now.Add(time.Duration(start) * time.Minute), Seconds: seconds,
		})
	}
	call[gateway.BookingView](soren, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "taken", Start: now.Add(8 * time.Minute), Seconds: 600})
	cancelled := booked("past", 0, 300)
	call[gateway.BookingView](ada, 200, "DELETE", cancelled.Links.Self, nil)
	ended := booked("past", 0, 60)
	gone := booked("gone", 0, 300)
	change := manifest("remove: {slots: [gone]}")
	change.Touched = "keep"
	call[gateway.AppliedView](root, 200, "POST", "/api/v1/admin/catalogue/apply", change, ifMatch("*"))
	for name, c := range map[string]struct {
		booking gateway.BookingView
		want    string
	}{
		"clash":                 {booked("taken", 0, 300), "409, clash, taken 8-18, offers taken 0-8"},
		"max_duration":          {booked("most", 0, 300), "422, max_duration, 10m0s, offers most 0-10"},
		"max_usage":             {booked("usage", 0, 1500), "422, max_usage, 30m0s, offers usage 0-30"},
		"window":                {booked("shut", 24*60+30, 1200), "422, window, offers shut 1470-1500"},
		"state, cancelled":      {cancelled, "409, state, cancelled"},
		"slot, no longer there": {gone, "422, slot, gone"},
	} {
		if got := ada.refuses(now, c.booking.Links.Self+"/extend", gateway.ExtendRequest{Seconds: 20 * 60}); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	coming := booked("past", 60, 300)
	if got := ada.refuses(now, coming.Links.Self+"/activity", nil); got != "422, " {
		t.Errorf("launched before its start: %s", got)
	}
	if got := ada.refuses(now, cancelled.Links.Self+"/activity", nil); got != "422, " {
		t.Errorf("launched after it was cancelled: %s", got)
	}
	l.must(l.desk.SetState(t.Context(), "default", "taken", false, "New bearings.", "test"))
	l.clock.pass(time.Minute)
	for _, action := range []string{"/extend", "/activity"} {
		want := map[string]string{"/extend": "409, state, ended", "/activity": "422, "}[action]
		if got := ada.refuses(now, ended.Links.Self+action, gateway.ExtendRequest{Seconds: 60}); got != want {
			t.Errorf("%s after its end: %s, want %s", action, got, want)
		}
	}
}
