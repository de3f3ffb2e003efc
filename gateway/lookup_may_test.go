package gateway_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
)

// What somebody may do who opened a booking by surname and reference is what its
// policy says, through the interface, the pages and the experiment's code alike;
// its owner may do everything.
func TestLookupsMayWhatThePolicySays(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	for _, may := range [][]string{{}, {"see"}, {"see", "launch"}, {"see", "extend"}, {"see", "cancel"}, {"see", "launch", "extend", "cancel"}} {
		t.Run(strings.Join(may, " "), func(t *testing.T) {
			root.applies("policies: {everyone: {max_duration: 10m, lookup: [" + strings.Join(may, ", ") + "]}}")
			b := ada.book("pend00-everyone")
			defer call[gateway.BookingView](ada, 200, "DELETE", b.Links.Self, nil)
			if own := call[gateway.BookingView](ada, 200, "GET", b.Links.Self, nil); len(own.May) != 4 || len(own.Extend) == 0 {
				t.Errorf("its owner may %v, extend by %v", own.May, own.Extend)
			}
			if page := ada.page(200, "/bookings/"+b.ID); !strings.Contains(page, "/cancel") || !strings.Contains(page, "/launch/") {
				t.Error("its owner's page has less than everything")
			}
			guest := l.browser()
			if len(may) == 0 {
				guest.refused(404, "POST", lookupPath, gateway.LookupRequest{Surname: b.Surname, Reference: b.Reference})
				return
			}
			guest = l.lookUp(b)
			seen := call[gateway.BookingView](guest, 200, "GET", b.Links.Self, nil)
			if !slices.Equal(seen.May, may) || (len(seen.Extend) > 0) != slices.Contains(may, "extend") || seen.Reference != "" {
				t.Errorf("sees %+v", seen)
			}
			refused := func(what string, got answer) {
				t.Helper()
				var p ruled
				if err := json.Unmarshal(got.body, &p); err != nil || got.status != 403 || p.Rule != "lookup" || !strings.Contains(p.Detail, "sign in") {
					t.Errorf("%s: %d %s", what, got.status, got.body)
				}
			}
			launch := guest.do("POST", b.Links.Self+"/activity", nil)
			page := guest.page(200, "/launch/"+b.ID)
			if slices.Contains(may, "launch") {
				var a gateway.Activity
				l.must(json.Unmarshal(launch.body, &a))
				extended := guest.do("POST", "/api/v1/experiment/extend", gateway.ExtendRequest{Seconds: 60}, authorization(code(a)))
				if slices.Contains(may, "extend") {
					if extended.status != 200 {
						t.Errorf("extended by the code: %d %s", extended.status, extended.body)
					}
				} else {
					refused("extended by the code", extended)
				}
				if !strings.Contains(page, "<iframe") {
					t.Error("the launch page frames nothing")
				}
			} else {
				refused("launched", launch)
				if strings.Contains(page, "<iframe") || strings.Contains(page, "streams=") {
					t.Error("the launch page launches")
				}
			}
			for action, c := range map[string]struct {
				method, path string
				body         any
			}{
				"extend": {"POST", b.Links.Self + "/extend", gateway.ExtendRequest{Seconds: 60}},
				"cancel": {"DELETE", b.Links.Self, nil},
			} {
				if slices.Contains(may, action) {
					continue // below, since one ends the other
				}
				refused(action, guest.do(c.method, c.path, c.body))
				if got := guest.do("POST", "/bookings/"+b.ID+"/"+action, url.Values{"seconds": {"60"}}); got.status != 403 || !strings.Contains(string(got.body), "sign in") {
					t.Errorf("%s by the page's form: %d", action, got.status)
				}
			}
			if now := call[gateway.BookingView](ada, 200, "GET", b.Links.Self, nil); now.State != "booked" || !slices.Contains(may, "launch") && !now.End.Equal(b.End) {
				t.Errorf("what was refused was done: %+v", now)
			}
			if slices.Contains(may, "extend") {
				call[gateway.BookingView](guest, 200, "POST", b.Links.Self+"/extend", gateway.ExtendRequest{Seconds: 60})
			}
			if slices.Contains(may, "cancel") {
				call[gateway.BookingView](guest, 200, "DELETE", b.Links.Self, nil)
			}
			// Whatever it may, a reference lets nobody else in and makes no other.
			refused("shared", guest.do("POST", b.Links.Self+"/share", nil))
			guest.refused(403, "POST", b.Links.Self+"/reference", nil)
		})
	}
}
