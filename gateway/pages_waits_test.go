package gateway_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
)

// The page of waiting lists books any of a pool, puts its reader on a list, and
// takes them off it; what cannot be is said there with what would be accepted.
func TestWaitsPage(t *testing.T) {
	l := newLab(t)
	ada, soren := l.signedIn("ada"), l.signedIn("soren")
	values := func(do, minutes string) url.Values {
		return url.Values{"group": {"everyone"}, "choice": {"pool:pendulums"}, "minutes": {minutes}, "key": {do + minutes + time.Now().String()}, "do": {do}}
	}
	for range 2 {
		if got := ada.do("POST", "/waits", values("book", "10")); got.status != http.StatusSeeOther || !strings.HasPrefix(got.header.Get("Location"), "/bookings/") {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	got := soren.do("POST", "/waits", values("book", "10"))
	if body := string(got.body); got.status != http.StatusConflict || !strings.Contains(body, "2026-05-04T09:10") || !strings.Contains(body, `value="slot:pend00-everyone" selected`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := soren.do("POST", "/waits", values("wait", "0")); got.status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := soren.do("POST", "/waits", values("wait", "10")); got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, got.body)
	}
	page := string(soren.do("GET", "/waits?group=everyone", nil).body)
	leave := regexp.MustCompile(`/waits/([A-Z2-7]+)/leave`).FindString(page)
	if leave == "" || !strings.Contains(page, "Pendulums") {
		t.Fatalf("%s", page)
	}
	if got := soren.do("POST", leave, url.Values{}); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, got.body)
	}
	if mine := call[struct{ Waits []gateway.WaitView }](soren, 200, "GET", "/api/v1/waits", nil).Waits; len(mine) != 0 {
		t.Errorf("waits still: %+v", mine)
	}
}

// An instructor books for the members of a group on a page, and for a guest.
func TestPartyPage(t *testing.T) {
	l := newLab(t)
	grace, ada := l.signedIn("grace"), l.signedIn("ada")
	if got := ada.do("GET", "/teach/book", nil); got.status != http.StatusForbidden {
		t.Errorf("%d", got.status)
	}
	page := string(grace.do("GET", "/teach/book?group=physics-1", nil).body)
	me := call[gateway.Me](ada, 200, "GET", "/api/v1/me", nil).Person
	if !strings.Contains(page, `value="`+me+`" checked`) || !strings.Contains(page, "Pendulums") {
		t.Fatalf("%s", page)
	}
	values := url.Values{
		"group": {"physics-1"}, "choice": {"pool:pendulums"}, "from": {"2026-05-04T10:00"}, "until": {"2026-05-04T11:00"}, "minutes": {"10"},
		"key": {"k1"}, "member": {me}, "do": {"group"},
	}
	if got := grace.do("POST", "/teach/book", values); got.status != 200 || !strings.Contains(string(got.body), `data-testid="places"`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if mine := call[struct{ Bookings []gateway.BookingView }](ada, 200, "GET", "/api/v1/bookings", nil).Bookings; len(mine) != 1 || mine[0].Pool != "pendulums" {
		t.Errorf("ada has %+v", mine)
	}
	values["key"], values["minutes"] = []string{"k2"}, []string{"120"}
	if got := grace.do("POST", "/teach/book", values); got.status != http.StatusConflict && got.status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", got.status, got.body)
	}
	guest := url.Values{
		"group": {"physics-1"}, "choice": {"slot:pend01-physics-1"}, "from": {"2026-05-04T14:00"}, "until": {""}, "minutes": {"10"},
		"key": {"k3"}, "name": {"Visitor"}, "surname": {"Nobody"}, "do": {"guest"},
	}
	got := grace.do("POST", "/teach/book", guest)
	if !regexp.MustCompile(`Visitor \([2-9B-Z]{6}\)`).Match(got.body) {
		t.Errorf("%d %s", got.status, got.body)
	}
	// A booking shows its new reference after the button was used.
	made := ada.book("pend00-everyone")
	if got := ada.do("POST", "/bookings/"+made.ID+"/reference", url.Values{}); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, got.body)
	}
	if body := string(ada.do("GET", "/bookings/"+made.ID, nil).body); strings.Contains(body, made.Reference) || !strings.Contains(body, `data-testid="rotate"`) {
		t.Error("the page shows the old reference")
	}
}
