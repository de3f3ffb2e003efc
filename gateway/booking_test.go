package gateway_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
)

// ruled is a problem with what the rules add to it.
type ruled struct {
	gateway.Problem
	Rule     string                `json:"rule"`
	Conflict *gateway.IntervalView `json:"conflict"`
	Offer    *gateway.IntervalView `json:"offer"`
}

func TestBookingsThatAreRefused(t *testing.T) {
	l := newLab(t)
	soren := l.signedIn("soren")
	taken := soren.book("pend00-everyone")
	now := l.clock.Now()
	l.must(l.desk.SetState(t.Context(), "default", "pend02", false, "New bearings.", "test"))

	everyone := func(change func(*gateway.BookRequest)) gateway.BookRequest {
		r := gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Start: now.Add(20 * time.Minute), Seconds: 300}
		change(&r)
		return r
	}
	for _, c := range []struct {
		name    string
		who     string
		request gateway.BookRequest
		status  int
		rule    string
		offered bool
	}{
		{"overlaps", "ada", everyone(func(r *gateway.BookRequest) { r.Start = now.Add(4 * time.Minute) }), 409, "clash", true},
		{"overlaps, from now", "ada", everyone(func(r *gateway.BookRequest) { r.Start = time.Time{} }), 409, "clash", true},
		{"overlaps through another slot", "ada", gateway.BookRequest{Group: "physics-1", Slot: "pend00-physics-1", Seconds: 600}, 409, "clash", true},
		{"inverted", "ada", everyone(func(r *gateway.BookRequest) { r.Seconds = -300 }), 422, "", false},
		{"of no length", "ada", everyone(func(r *gateway.BookRequest) { r.Seconds = 0 }), 422, "", false},
		{"of absurd length", "ada", everyone(func(r *gateway.BookRequest) { r.Seconds = 1 << 60 }), 422, "", false},
		{"in the past", "ada", everyone(func(r *gateway.BookRequest) { r.Start = now.Add(-time.Hour) }), 422, "start_in_past", true},
		{"at the end of the calendar", "ada", everyone(func(r *gateway.BookRequest) { r.Start = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }), 422, "interval", false},
		{"too long", "ada", everyone(func(r *gateway.BookRequest) { r.Seconds = 660 }), 422, "max_duration", true},
		{"too short", "ada", everyone(func(r *gateway.BookRequest) { r.Seconds = 60 }), 422, "min_duration", true},
		{"too far ahead", "ada", everyone(func(r *gateway.BookRequest) { r.Start = now.Add(2 * time.Hour) }), 422, "book_ahead", true},
		{"too many", "soren", everyone(func(r *gateway.BookRequest) { r.Start = now.Add(40 * time.Minute) }), 422, "max_bookings", false},
		{"when the building is closed", "ada", gateway.BookRequest{Group: "physics-1", Slot: "pend01-physics-1", Start: time.Date(2030, 12, 25, 9, 0, 0, 0, time.UTC), Seconds: 600}, 422, "window", true},
		{"off-line", "ada", gateway.BookRequest{Group: "everyone", Slot: "pend02-everyone", Seconds: 300}, 409, "online", true},
		{"in somebody else's group", "grace", gateway.BookRequest{Group: "physics-1", Slot: "pend00-physics-1", Seconds: 600}, 403, "group", false},
		{"through a group it is not open to", "ada", gateway.BookRequest{Group: "everyone", Slot: "pend01-physics-1", Seconds: 600}, 403, "group", false},
		{"of a slot that is not there", "ada", gateway.BookRequest{Group: "everyone", Slot: "nothing", Seconds: 300}, 404, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := l.signedIn(c.who)
			if c.name == "too many" {
				call[gateway.BookingView](b, 201, "POST", "/api/v1/bookings", everyone(func(*gateway.BookRequest) {}))
			}
			got := b.do("POST", "/api/v1/bookings", c.request)
			var p ruled
			if err := json.Unmarshal(got.body, &p); err != nil || got.status != c.status || p.Rule != c.rule {
				t.Fatalf("%d %s, want %d by %q", got.status, got.body, c.status, c.rule)
			}
			if !strings.HasSuffix(p.Detail, ".") || len(p.Detail) < 20 {
				t.Errorf("%q is no help", p.Detail)
			}
			if c.rule == "clash" && (p.Conflict == nil || !p.Conflict.Start.Equal(taken.Start) || !p.Conflict.End.Equal(taken.End)) {
				t.Errorf("in the way is %+v, and %v to %v is", p.Conflict, taken.Start, taken.End)
			}
			if (p.Offer != nil) != c.offered {
				t.Errorf("offered %+v", p.Offer)
			}
		})
	}
}

// A body that cannot be read is told from one that is refused, and what is wrong
// with it is said.
func TestBodiesThatCannotBeRead(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	for body, hint := range map[string]string{
		``:                                  "empty",
		`{`:                                 "cut short",
		`[]`:                                "wrong type",
		`{"group":7}`:                       `"group" has the wrong type`,
		`{"grupo":"everyone"}`:              `"grupo"`,
		`{"start":"tomorrow"}`:              "RFC 3339",
		`{"start":"2026-05-04T09:00:00"}`:   "RFC 3339", // a time without a zone is nobody's
		`{"start":"99999-01-01T00:00:00Z"}`: "RFC 3339",
		`{"seconds":1e400}`:                 "wrong type",
		`{"group":"everyone"} {}`:           "more than one",
		`{"group":"everyone"}}`:             "more than one",
		"{\"group\":\"every\x01one\"}":      "syntax error",
	} {
		if p := ada.refused(400, "POST", "/api/v1/bookings", body); !strings.Contains(p.Detail, hint) {
			t.Errorf("%q: %s", body, p.Detail)
		}
	}
}

// An extension that the policy does not allow, and one that it does.
func TestExtensions(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	booking := ada.book("pend00-everyone")
	extend := booking.Links.Self + "/extend"
	for seconds, status := range map[int]int{-300: 422, 0: 422, 100_000: 422, 301: 422} {
		ada.refused(status, "POST", extend, gateway.ExtendRequest{Seconds: seconds})
	}
	if got := call[gateway.BookingView](ada, 200, "POST", extend, gateway.ExtendRequest{Seconds: 300}); got.End.Sub(booking.End) != 5*time.Minute || len(got.Extend) != 0 {
		t.Errorf("ends %v, offers %v", got.End, got.Extend)
	}
	other := l.signedIn("soren").book("pend02-everyone") // pages say what would be accepted
	soren := l.lookUp(other)
	page := soren.do("POST", "/bookings/"+other.ID+"/extend", url.Values{"seconds": {"600"}})
	if page.status != 422 || !strings.Contains(string(page.body), `name="seconds" value="300"`) || !strings.Contains(string(page.body), `data-testid="extend-longest"`) {
		t.Errorf("refused on the page: %d %s", page.status, page.body)
	}
	if page = soren.do("POST", "/bookings/"+other.ID+"/extend", url.Values{"seconds": {"300"}}); page.status != 303 {
		t.Errorf("what was offered: %d", page.status)
	}
	l.clock.pass(11 * time.Minute)
	ada.refused(409, "POST", extend, gateway.ExtendRequest{Seconds: 60})
	ada.refused(409, "DELETE", booking.Links.Self, nil)
}

// TestRetry: one key, one effect, the same answer; with another request it is
// refused.
func TestIdempotencyKeys(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	key := pair{"Idempotency-Key", "once"}
	twice := func(b *browser, path string, request, other any, refused int) {
		t.Helper()
		first := b.do("POST", path, request, key)
		l.clock.pass(2 * time.Second) // "now" is another time by then
		second := b.do("POST", path, request, key)
		if first.status > 299 || second.status != first.status || string(first.body) != string(second.body) {
			t.Errorf("%s: %d %s\nthen %d %s", path, first.status, first.body, second.status, second.body)
		}
		b.refused(refused, "POST", path, other, key)
		b.refused(400, "POST", path, request, pair{"Idempotency-Key", strings.Repeat("k", 256)})
	}
	book := gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300}
	longer := book
	longer.Seconds = 600
	twice(ada, "/api/v1/bookings", book, longer, 422)
	twice(grace, "/api/v1/messages", gateway.MessageRequest{To: "all", Text: "Hello."}, gateway.MessageRequest{To: "all", Text: "Other."}, 422)
	grace.refused(422, "POST", "/api/v1/messages", gateway.MessageRequest{To: "group:physics-1", Text: "Hello."}, key)
	question := []gateway.QuestionView{{Kind: "text", Text: "Why?"}}
	twice(grace, "/api/v1/surveys", gateway.SurveyRequest{To: "all", Title: "A", Questions: question}, gateway.SurveyRequest{To: "all", Title: "B", Questions: question}, 409)
	twice(grace, "/api/v1/registers", gateway.RegisterRequest{Title: "A", Group: "physics-1"}, gateway.RegisterRequest{Title: "B", Group: "physics-1"}, 409)

	if got := call[struct{ Bookings []gateway.BookingView }](ada, 200, "GET", "/api/v1/bookings", nil); len(got.Bookings) != 1 {
		t.Errorf("%d bookings", len(got.Bookings))
	}
	notices := 0
	for _, m := range call[struct{ Messages []gateway.MessageView }](ada, 200, "GET", "/api/v1/messages", nil).Messages {
		if m.Type == "lodge.notice" {
			notices++
		}
	}
	if notices != 1 {
		t.Errorf("%d notices", notices)
	}
	// The key of one person is nothing to another.
	soren := l.signedIn("soren")
	call[gateway.BookingView](soren, 201, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend02-everyone", Seconds: 300}, key)
}

func TestAvailabilityThatIsRefused(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	for query, status := range map[string]int{
		"group=staff": 404, "": 404, "group=everyone&from=now": 400, "group=everyone&until=2026": 400,
		"group=everyone&from=2026-05-05T00:00:00Z&until=2026-05-04T00:00:00Z": 422,
		"group=everyone&from=2026-05-05T00:00:00Z&until=2026-07-04T00:00:00Z": 422,
		"group=everyone&from=9999-12-31T23:59:59Z":                            422,
		"group=everyone&from=0000-01-01T00:00:00Z":                            422,
	} {
		ada.refused(status, "GET", "/api/v1/availability?"+query, nil)
	}
}
