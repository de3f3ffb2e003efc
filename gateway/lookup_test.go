package gateway_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
)

const lookupPath = "/api/v1/bookings/lookup"

// behindProxy makes the test a listed proxy, so that it can come from anywhere.
func behindProxy(c *gateway.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

func from(address string) pair { return pair{"X-Forwarded-For", address} }

// A reference that cannot be one is refused with what one looks like, and is no
// try.
func TestImpossibleReference(t *testing.T) {
	l := newLab(t)
	booking := l.signedIn("ada").book("pend00-everyone")
	for _, reference := range []string{"", "ABCDE", "AEIOUY", "BCDF0G", "BCDFGHJ", "BCDFG!", "ŃŃŃŃŃŃ", strings.Repeat("B", 1000)} {
		for range 8 {
			if p := l.browser().refused(422, "POST", lookupPath, gateway.LookupRequest{Surname: "Lovelace", Reference: reference}); !strings.Contains(p.Detail, "23456789BCDFGHJKMNPQRSTVWXZ") {
				t.Fatalf("%q: %s", reference, p.Detail)
			}
		}
	}
	l.browser().refused(422, "POST", lookupPath, gateway.LookupRequest{Surname: "!!!", Reference: booking.Reference})
	l.lookUp(booking) // not one of these was counted
}

// TestSec34: every lookup that misses gets the same answer, to the last header.
func TestSec34_MissesReadAlike(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	old := ada.book("pend00-everyone")
	call[gateway.BookingView](ada, 200, "DELETE", old.Links.Self, nil)
	l.clock.pass(8 * 24 * time.Hour)
	ada.signIn("ada")
	booking := ada.book("pend02-everyone")

	miss := func(surname, reference string, headers ...pair) answer {
		got := l.browser().do("POST", lookupPath, gateway.LookupRequest{Surname: surname, Reference: reference}, headers...)
		got.header.Del("Date")
		return got
	}
	want := miss("Nobody", "BCDFGH")
	if want.status != http.StatusNotFound {
		t.Fatalf("a miss: %d %s", want.status, want.body)
	}
	for name, got := range map[string]answer{
		"wrong surname":         miss("Babbage", booking.Reference),
		"wrong reference":       miss("Lovelace", "BCDFGH"),
		"cancelled long ago":    miss("Lovelace", old.Reference),
		"of another tenant":     miss("Lovelace", booking.Reference, pair{"Host", otherHost}),
		"surname of one letter": miss("L", booking.Reference),
	} {
		if got.status != want.status || string(got.body) != string(want.body) || !reflect.DeepEqual(got.header, want.header) {
			t.Errorf("%s: %d %s %v\nwant %d %s %v", name, got.status, got.body, got.header, want.status, want.body, want.header)
		}
	}
}

// TestSec33: limits by surname, by address and overall, whatever is typed then.
func TestSec33_LookupLimits(t *testing.T) {
	limited := func(l *lab, surname, reference, address string) bool {
		t.Helper()
		got := l.browser().do("POST", lookupPath, gateway.LookupRequest{Surname: surname, Reference: reference}, from(address))
		if got.status == http.StatusTooManyRequests && got.header.Get("Retry-After") == "" {
			t.Error("over the limit, and not told how long to wait")
		}
		return got.status == http.StatusTooManyRequests
	}
	// tries guesses until the limit and returns how often that was possible.
	tries := func(l *lab, most int, guess func(i int) (surname, address string)) int {
		t.Helper()
		for i := range most {
			if surname, address := guess(i); limited(l, surname, "BCDFGH", address) {
				return i
			}
		}
		return most
	}
	t.Run("surname", func(t *testing.T) {
		l := newLab(t, behindProxy)
		booking := l.signedIn("ada").book("pend00-everyone")
		spellings := []string{"Lovelace", "LOVELACE", "love lace", "Lovelacé"}
		n := tries(l, 50, func(i int) (string, string) { return spellings[i%len(spellings)], fmt.Sprintf("198.51.100.%d", i) })
		if n != 10 {
			t.Errorf("%d guesses at one surname", n)
		}
		if !limited(l, "Lovelace", booking.Reference, "192.0.2.1") {
			t.Error("the right reference gets through: whoever guesses learns of a hit")
		}
		if limited(l, "Babbage", "BCDFGH", "192.0.2.1") {
			t.Error("another surname is limited too")
		}
		l.clock.pass(time.Hour)
		if limited(l, "Lovelace", booking.Reference, "192.0.2.1") {
			t.Error("still limited an hour later")
		}
	})
	t.Run("address", func(t *testing.T) {
		l := newLab(t, behindProxy)
		name := func(i int) string { return "Nobody" + string(rune('a'+i%26)) + string(rune('a'+i/26)) }
		if n := tries(l, 100, func(i int) (string, string) { return name(i), fmt.Sprintf("2001:db8::%x", i) }); n != 60 {
			t.Errorf("%d guesses from one network", n)
		}
		if limited(l, "Babbage", "BCDFGH", "2001:db8:0:1::1") {
			t.Error("another network is limited too")
		}
	})
	t.Run("overall", func(t *testing.T) {
		l := newLab(t, behindProxy)
		n := tries(l, 700, func(i int) (string, string) {
			return fmt.Sprintf("Nobody%d", i), fmt.Sprintf("198.51.100.%d", i/50)
		})
		if n != 600 {
			t.Errorf("%d guesses in all", n)
		}
	})
}

// The page refuses as the interface does, keeps what was typed, and says how long
// to wait.
func TestLookupPage(t *testing.T) {
	l := newLab(t)
	booking := l.signedIn("ada").book("pend00-everyone")
	visitor := l.browser()
	post := func(surname, reference string) answer {
		return visitor.do("POST", "/lookup", url.Values{"surname": {surname}, "reference": {reference}})
	}
	if got := post("Lovelace", "AEIOUY"); got.status != 422 || !strings.Contains(string(got.body), "AEIOUY") {
		t.Errorf("an impossible reference: %d", got.status)
	}
	for range 10 {
		if got := post("<b>Babbage</b>", "BCDFGH"); got.status != 404 || strings.Contains(string(got.body), "<b>Babbage") {
			t.Fatalf("a miss: %d %s", got.status, got.body)
		}
	}
	if got := post("b Babbage b", "BCDFGH"); got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("too many misses: %d", got.status)
	}
	if got := post("lovelace", strings.ToLower(booking.Reference)); got.status != 303 || got.header.Get("Location") != "/bookings/"+booking.ID {
		t.Errorf("a hit: %d to %s", got.status, got.header.Get("Location"))
	}
}

// What opens a booking leaves a login as it is; the cookie holds one booking.
func TestLookupBesideALogin(t *testing.T) {
	l := newLab(t)
	ada, soren := l.signedIn("ada"), l.signedIn("soren")
	first, second := ada.book("pend00-everyone"), ada.book("pend02-everyone")
	open := func(b gateway.BookingView) {
		call[struct{ Booking gateway.BookingView }](soren, 200, "POST", lookupPath, gateway.LookupRequest{Surname: "Lovelace", Reference: b.Reference})
	}
	open(first)
	if me := soren.me(); me.Kind != "login" || me.Name != "Søren Ó Briain" {
		t.Errorf("Søren is %+v", me)
	}
	if got := call[gateway.BookingView](soren, 200, "GET", first.Links.Self, nil); got.Reference != "" {
		t.Error("the reference is shown to somebody who is not the owner")
	}
	old := soren.cookie("lodge-dev-booking")
	open(second)
	soren.refused(404, "GET", first.Links.Self, nil)
	if got := l.browser().do("GET", first.Links.Self, nil, pair{"Cookie", "lodge-dev-booking=" + old}); got.status != 401 {
		t.Errorf("the booking session before is still good: %d", got.status)
	}
	if got := soren.do("POST", "/logout", url.Values{}); got.status != 303 {
		t.Fatalf("logout: %d", got.status)
	}
	soren.refused(401, "GET", second.Links.Self, nil)
}

// Whoever knows surname and reference cannot fill the store with sessions.
func TestOpeningsHaveARate(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.LaunchRate = 5 })
	booking := l.signedIn("ada").book("pend00-everyone")
	for range 5 {
		l.lookUp(booking)
	}
	if got := l.browser().do("POST", lookupPath, gateway.LookupRequest{Surname: "Lovelace", Reference: booking.Reference}); got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("the sixth within a minute: %d", got.status)
	}
	l.clock.pass(time.Minute)
	l.lookUp(booking)
}
