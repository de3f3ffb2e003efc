package relay

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Nobody takes all the room: one person, or one address, has only so many
// connections, is told so before the upgrade, and has room again when one goes.
func TestSec29_ConnectionsOfOneAreBounded(t *testing.T) {
	for name, opts := range map[string]Options{"person": {MaxPerPerson: 2}, "address": {MaxPerAddress: 2}} {
		t.Run(name, func(t *testing.T) {
			r := onNetwork(t, opts)
			r.access.allow("code", "topic", true, true, time.Time{})
			r.access.book("code", "topic", "b1")
			first := r.connect(t, "topic", "code")
			r.connect(t, "topic", "code")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.uri(t, "topic", "code"), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, res, err := websocket.Dial(t.Context(), req.URL.String(), nil)
			if err == nil || res == nil || res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "5" {
				t.Fatalf("a third: %v %+v", err, res)
			}
			_ = first.CloseNow()
			until := time.Now().Add(10 * time.Second)
			for {
				conn, _, err := websocket.Dial(t.Context(), r.uri(t, "topic", "code"), nil)
				if err == nil {
					_ = conn.CloseNow()
					return
				}
				if time.Now().After(until) {
					t.Fatal("no room again")
				}
			}
		})
	}
}

func TestNetworkOfAnAddress(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "address:192.0.2.1", "192.0.2.1:4711": "address:192.0.2.1", "::ffff:192.0.2.1": "address:192.0.2.1",
		"2001:db8::1": "address:2001:db8::/64", "[2001:db8::2]:99": "address:2001:db8::/64", "fe80::1%eth0": "address:fe80::/64", "@": "address:@",
	} {
		if got := network(address); got != want {
			t.Errorf("%s counts for %s", address, got)
		}
	}
}
