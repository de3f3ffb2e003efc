package gateway_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// A service books for members and guests of the groups of its audience, by limits
// of its own, and sees and cancels what is booked through them; nothing else.
func TestServicesBookForPeople(t *testing.T) {
	l := newLab(t)
	_, err := l.desk.ApplyChange(t.Context(), lodge.DefaultTenant, booking.Change{Put: booking.Catalogue{Overrides: map[string]booking.Override{
		"timetable": {Services: []string{"Timetable"}, MaxDuration: new(booking.Duration(2 * time.Hour))},
	}}}, booking.Decision{})
	l.must(err)
	made, err := l.gateway.CreateCode(t.Context(), lodge.DefaultTenant, gateway.CodeRequest{
		Kind: "service", Name: "Timetable", Scopes: []string{"bookings:make"}, Audience: []string{"group:physics-1"},
	})
	l.must(err)
	service, code := l.browser(), authorization("Bearer "+made.Code)
	ada := l.signedIn("ada")
	start := l.clock.Now().Add(time.Hour)

	// What it may book is shown by its own limits.
	page := call[gateway.AvailabilityView](service, 200, "GET", "/api/v1/availability?group=physics-1", nil, code)
	if len(page.Slots) != 2 || page.Slots[0].MaxSeconds != 7200 {
		t.Fatalf("available: %+v", page.Slots)
	}
	request := gateway.BookRequest{Group: "physics-1", Slot: "pend00-physics-1", Start: start, Seconds: 5400, OnBehalf: &gateway.OnBehalf{Person: ada.me().Person}}
	key := pair{"Idempotency-Key", "week 1"}
	b := call[gateway.BookingView](service, 201, "POST", "/api/v1/bookings", request, code, key)
	if again := call[gateway.BookingView](service, 201, "POST", "/api/v1/bookings", request, code, key); again.ID != b.ID {
		t.Errorf("booked again: %+v", again)
	}
	if b.Reference != "" {
		t.Error("the service learns a member's reference")
	}
	if own := call[gateway.BookingView](ada, 200, "GET", b.Links.Self, nil); own.Reference == "" || own.End.Sub(own.Start) != 90*time.Minute {
		t.Errorf("ada has %+v", own)
	}
	l.recorded(audit.Book, "service:"+made.Session.ID, "booking:"+b.ID)

	// A guest gets a reference, which the service passes on.
	guest := request
	guest.Slot, guest.OnBehalf = "pend01-physics-1", &gateway.OnBehalf{Name: "Emmy Noether", Surname: "Noether"}
	theirs := call[gateway.BookingView](service, 201, "POST", "/api/v1/bookings", guest, code, pair{"Idempotency-Key", "guest"})
	l.lookUp(theirs)

	// It sees and cancels what is booked through its group, and that alone.
	seen := call[gateway.BookingView](service, 200, "GET", b.Links.Self, nil, code)
	if seen.Reference != "" || !slices.Equal(seen.May, []string{"see", "cancel"}) {
		t.Errorf("the service sees %+v", seen)
	}
	elsewhere := ada.book("pend02-everyone")
	service.refused(404, "GET", elsewhere.Links.Self, nil, code)
	service.refused(404, "DELETE", elsewhere.Links.Self, nil, code)
	gone := call[gateway.BookingView](service, 200, "DELETE", b.Links.Self, nil, code)
	if gone.State != "cancelled" || gone.Reason != "Your laboratory cancelled this booking." {
		t.Errorf("cancelled: %+v", gone)
	}
	l.recorded(audit.CancelByOther, "service:"+made.Session.ID, "booking:"+b.ID)

	// What it may not.
	for name, c := range map[string]struct {
		change func(*gateway.BookRequest)
		status int
		rule   string
	}{
		"for nobody":                 {func(r *gateway.BookRequest) { r.OnBehalf = nil }, 422, ""},
		"for somebody not in it":     {func(r *gateway.BookRequest) { r.OnBehalf.Person = l.signedIn("root").me().Person }, 404, ""},
		"through another group":      {func(r *gateway.BookRequest) { r.Group, r.Slot = "everyone", "pend00-everyone" }, 403, ""},
		"through another's slot":     {func(r *gateway.BookRequest) { r.Slot = "pend00-everyone" }, 403, "group"},
		"longer than its own limit":  {func(r *gateway.BookRequest) { r.Seconds = 7260 }, 422, "max_duration"},
		"a guest without a surname":  {func(r *gateway.BookRequest) { r.OnBehalf = &gateway.OnBehalf{Name: "X"} }, 422, "surname"},
		"a guest with no such mail":  {func(r *gateway.BookRequest) { r.OnBehalf = &gateway.OnBehalf{Name: "X", Surname: "X", Email: "x"} }, 422, ""},
		"what somebody else has now": {func(r *gateway.BookRequest) { r.Slot = "pend01-physics-1" }, 409, "clash"},
	} {
		req := request
		behalf := *request.OnBehalf
		req.OnBehalf = &behalf
		c.change(&req)
		got := service.do("POST", "/api/v1/bookings", req, code)
		var p ruled
		if err := json.Unmarshal(got.body, &p); err != nil || got.status != c.status || p.Rule != c.rule {
			t.Errorf("%s: %d %s, want %d by %q", name, got.status, got.body, c.status, c.rule)
		}
	}
	service.refused(404, "GET", "/api/v1/availability?group=everyone", nil, code)
	for _, other := range []string{
		l.makeCode(gateway.CodeRequest{Kind: "service", Scopes: []string{"messages:send"}, Audience: []string{"group:physics-1"}}),
		l.makeCode(gateway.CodeRequest{Kind: "host", Experiment: "pend00"}),
	} {
		without := authorization(other)
		service.refused(403, "POST", "/api/v1/bookings", request, without)
		service.refused(403, "GET", theirs.Links.Self, nil, without)
		service.refused(403, "DELETE", theirs.Links.Self, nil, without)
		service.refused(403, "GET", "/api/v1/availability?group=physics-1", nil, without)
	}
	// A code is what counts, whoever's cookies come with it.
	ada.refused(401, "POST", "/api/v1/bookings", request, authorization("lodge_svc_nothing"))
	l.must(l.gateway.RevokeCode(t.Context(), lodge.DefaultTenant, made.Session.ID, ""))
	service.refused(401, "POST", "/api/v1/bookings", request, code)
}

// A code that books is made for groups that are there.
func TestCodesThatBook(t *testing.T) {
	l := newLab(t)
	for _, c := range []struct {
		audience []string
		want     string
	}{
		{nil, "group:ID"}, {[]string{"experiment:pend00"}, "group:ID"}, {[]string{"all"}, "group:ID"}, {[]string{"group:nothing"}, "is none"},
		{[]string{"group:physics-1", "all"}, "is none"},
	} {
		_, err := l.gateway.CreateCode(t.Context(), lodge.DefaultTenant, gateway.CodeRequest{Kind: "service", Scopes: []string{"bookings:make"}, Audience: c.audience})
		if lodge.CodeOf(err) != lodge.CodeRefused || !strings.Contains(err.Error(), c.want) {
			t.Errorf("for %v: %v", c.audience, err)
		}
	}
}
