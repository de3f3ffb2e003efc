package gateway_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/deploy/samples"
	"github.com/lodge-gateway/lodge/gateway"
)

// TestPractableBook is a table of contents of the faults of practable's booking
// system that show at its interface, each a test that it is not here. Those that
// lie in how bookings are kept are in bookingtest, for every store.
func TestPractableBook(t *testing.T) {
	l := newLab(t)
	for fault, test := range map[string]func(*testing.T, *lab){
		"whoever knows a booking's name launches or cancels it":          practableNames,
		"signing in takes any name without a credential":                 practableLogin,
		"a manifest uploaded again empties every diary":                  practableReupload,
		"an interval that ends before it starts is taken":                practableInverted,
		"back-to-back bookings clash":                                    practableBackToBack,
		"a policy of a minimum above its maximum is taken":               practableMinAboveMax,
		"a slot whose policy does not list it is taken":                  practableOrphan,
		"a cancellation that was not carried out is reported as done":    practableCancelled,
		"a booking is answered with 204, without the booking":            practableAnswers,
		"a conflict is a 404, and so is a deletion that succeeds":        practableStatuses,
		"availability takes one call a slot":                             practableOneCall,
		"a page behind the last one drops the connection":                practablePages,
		"a second node, or the next process, knows nothing of a booking": practableNodes,
	} {
		t.Run(fault, func(t *testing.T) {
			one := *l
			one.T = t
			test(t, &one)
			// Whatever came of it, the next begins with an empty diary.
			l.clock.pass(3 * time.Hour)
		})
	}
}

func practableNames(_ *testing.T, l *lab) {
	b := l.signedIn("ada").book("pend00-everyone")
	for who, other := range map[string]*browser{"somebody else": l.signedIn("soren"), "nobody": l.browser()} {
		want := map[string]int{"somebody else": 404, "nobody": 401}[who]
		other.refused(want, "GET", b.Links.Self, nil)
		other.refused(want, "POST", b.Links.Self+"/activity", nil)
		other.refused(want, "POST", b.Links.Self+"/extend", gateway.ExtendRequest{Seconds: 60})
		other.refused(want, "DELETE", b.Links.Self, nil)
	}
}

func practableLogin(t *testing.T, l *lab) {
	b := l.browser()
	for _, body := range []any{url.Values{"user": {"ada"}}, `{"user":"ada"}`} {
		for _, path := range []string{"/api/v1/login/ada", "/login/ada", "/login/dev", "/login"} {
			if got := b.do("POST", path, body); got.status < 400 || got.header.Get("Set-Cookie") != "" {
				t.Errorf("POST %s: %d %v", path, got.status, got.header)
			}
		}
	}
	b.refused(401, "GET", "/api/v1/me", nil)
}

func practableReupload(_ *testing.T, l *lab) {
	root, soren := l.signedIn("root"), l.signedIn("soren")
	b := l.signedIn("ada").book("pend00-everyone")
	change := gateway.CatalogueChange{Manifest: string(samples.Practable)}
	for range 2 {
		done := call[gateway.AppliedView](root, 200, "POST", "/api/v1/admin/catalogue/apply", change, ifMatch("*"))
		if len(done.Outcomes) != 0 {
			l.Errorf("touched: %+v", done.Outcomes)
		}
	}
	soren.refused(409, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: b.Slot, Seconds: 300})
}

func practableInverted(_ *testing.T, l *lab) {
	ada := l.signedIn("ada")
	for _, seconds := range []int{-300, 0, -1 << 62} {
		ada.refused(422, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: seconds})
	}
	at := l.clock.Now().Add(time.Hour)
	ada.refused(422, "GET", "/api/v1/availability?group=everyone&from="+at.Format(time.RFC3339)+"&until="+at.Add(-time.Hour).Format(time.RFC3339), nil)
}

func practableBackToBack(_ *testing.T, l *lab) {
	start := l.clock.Now().Add(10 * time.Minute)
	for i, who := range []string{"ada", "soren"} {
		call[gateway.BookingView](l.signedIn(who), 201, "POST", "/api/v1/bookings", gateway.BookRequest{
			Group: "everyone", Slot: "pend00-everyone", Start: start.Add(time.Duration(i) * 5 * time.Minute), Seconds: 300,
		})
	}
}

// faulty applies the practable sample with a fault in it.
func faulty(t *testing.T, l *lab, old, changed, object string) {
	t.Helper()
	root := l.signedIn("root")
	text := strings.Replace(string(samples.Practable), old, changed, 1)
	for _, path := range []string{"plan", "apply"} {
		got := root.do("POST", "/api/v1/admin/catalogue/"+path, gateway.CatalogueChange{Manifest: text}, ifMatch("*"))
		var p struct {
			Faults []struct {
				Line   int
				Object string
			}
		}
		if err := json.Unmarshal(got.body, &p); err != nil || got.status != 422 || len(p.Faults) != 1 || p.Faults[0].Object != object || p.Faults[0].Line == 0 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func practableMinAboveMax(t *testing.T, l *lab) {
	faulty(t, l, "min_duration: 3m", "min_duration: 30m", "policies.everyone")
}

func practableOrphan(t *testing.T, l *lab) {
	faulty(t, l, "      - pend00-everyone\n", "", "slots.pend00-everyone")
}

// With the messages of a cancellation not stored it is not done, and says so;
// nobody else waits for it; asked again when they can be, it is.
func practableCancelled(t *testing.T, l *lab) {
	ada, soren := l.signedIn("ada"), l.signedIn("soren")
	b := ada.book("pend00-everyone")
	l.stumbles.left.Store(1 << 40)
	defer l.stumbles.left.Store(0)
	ada.refused(503, "DELETE", b.Links.Self, nil)
	if got := call[gateway.AvailabilityView](soren, 200, "GET", "/api/v1/availability?group=everyone", nil); len(got.Slots) != 2 {
		t.Errorf("somebody else sees %+v", got)
	}
	l.stumbles.left.Store(0)
	l.clock.pass(time.Minute)
	l.eventually("the cancellation is done", func() bool { return ada.do("DELETE", b.Links.Self, nil).status == 200 })
}

func practableAnswers(t *testing.T, l *lab) {
	got := l.signedIn("ada").do("POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: "pend00-everyone", Seconds: 300})
	var b gateway.BookingView
	if err := json.Unmarshal(got.body, &b); err != nil || got.status != 201 || b.ID == "" || b.Reference == "" || got.header.Get("Location") != b.Links.Self {
		t.Errorf("%d %s, at %s", got.status, got.body, got.header.Get("Location"))
	}
}

func practableStatuses(_ *testing.T, l *lab) {
	ada, soren := l.signedIn("ada"), l.signedIn("soren")
	b := ada.book("pend00-everyone")
	soren.refused(409, "POST", "/api/v1/bookings", gateway.BookRequest{Group: "everyone", Slot: b.Slot, Seconds: 300})
	ada.refused(404, "DELETE", "/api/v1/bookings/nothing", nil)
	for range 2 { // again changes nothing
		if got := call[gateway.BookingView](ada, 200, "DELETE", b.Links.Self, nil); got.State != "cancelled" {
			l.Errorf("deleted: %+v", got)
		}
	}
}

func practableOneCall(t *testing.T, l *lab) {
	got := call[gateway.AvailabilityView](l.signedIn("ada"), 200, "GET", "/api/v1/availability?group=physics-1", nil)
	if len(got.Slots) != 2 || got.After != "" {
		t.Errorf("in one call: %+v", got)
	}
	for _, slot := range got.Slots {
		if len(slot.Suggestions) != 2 || len(slot.Suggestions[0].Starts) != 6 || slot.Suggestions[0].Label != "5m" {
			t.Errorf("suggested: %+v", slot.Suggestions)
		}
	}
}

func practablePages(t *testing.T, l *lab) {
	ada := l.signedIn("ada")
	const path = "/api/v1/availability?group=everyone"
	first := call[gateway.AvailabilityView](ada, 200, "GET", path+"&limit=1", nil)
	if len(first.Slots) != 1 || first.After != first.Slots[0].Slot {
		t.Fatalf("the first page: %+v", first)
	}
	second := call[gateway.AvailabilityView](ada, 200, "GET", path+"&limit=1&after="+first.After, nil)
	if len(second.Slots) != 1 || second.Slots[0].Slot <= first.After || second.After != "" {
		t.Errorf("the second page: %+v", second)
	}
	for _, behind := range []string{second.Slots[0].Slot, "zzz", strings.Repeat("z", 4000), url.QueryEscape("\xff\x00")} {
		if got := call[gateway.AvailabilityView](ada, 200, "GET", path+"&after="+behind, nil); got.Slots == nil || len(got.Slots) != 0 || got.After != "" {
			t.Errorf("behind %.20s: %+v", behind, got)
		}
	}
	for _, limit := range []string{"0", "-1", "201", "many", "9223372036854775808"} {
		ada.refused(400, "GET", path+"&limit="+limit, nil)
	}
}

// What one process has booked the next one finds: nothing is kept in memory only.
func practableNodes(t *testing.T, l *lab) {
	ada := l.signedIn("ada")
	b := ada.book("pend00-everyone")
	parts := l.parts
	parts.Topics = l.newTopics()
	next, err := gateway.New(l.cfg, parts)
	l.must(err)
	l.run(next)
	listener := l.listen("127.0.0.1:0")
	l.serve(listener, next.Handler())
	host := pair{"Host", strings.TrimPrefix(l.url, "http://")}
	at := "http://" + listener.Addr().String()
	if got := ada.do("GET", at+b.Links.Self, nil, host, ada.cookies()); got.status != 200 || !strings.Contains(string(got.body), b.Reference) {
		t.Errorf("the booking: %d %s", got.status, got.body)
	}
	if got := ada.do("GET", at+"/api/v1/me", nil, host, ada.cookies()); got.status != 200 || !strings.Contains(string(got.body), `"physics-1"`) {
		t.Errorf("who is in which group: %d %s", got.status, got.body)
	}
}
