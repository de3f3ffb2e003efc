package forwarded

import (
	"net/netip"
	"strings"
	"testing"
)

var proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}

func TestSec36_RightmostUnlistedAddress(t *testing.T) {
	for _, tt := range []struct{ remote, headers, want string }{
		{"192.0.2.7:4711", "203.0.113.1", "192.0.2.7"}, // no proxy: what it claims is nothing
		{"10.0.0.1:4711", "", "10.0.0.1"},
		{"10.0.0.1:4711", "203.0.113.1", "203.0.113.1"},
		{"10.0.0.1:4711", "198.51.100.9, 203.0.113.1", "203.0.113.1"}, // the left one is the client's own word
		{"10.0.0.1:4711", "203.0.113.1, 10.0.0.2", "203.0.113.1"},
		{"10.0.0.1:4711", "203.0.113.1\n10.0.0.2", "203.0.113.1"},
		{"10.0.0.1:4711", "203.0.113.1, unknown", "10.0.0.1"},
		{"10.0.0.1:4711", "nonsense, 10.0.0.2", "10.0.0.2"},
		{"10.0.0.1:4711", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"[2001:db8::1]:4711", "::ffff:10.0.0.2, 2001:db8:1::2", "::ffff:10.0.0.2"},
		{"pipe", "203.0.113.1", "pipe"},
	} {
		if got := Address(tt.remote, strings.Split(tt.headers, "\n"), proxies); got != tt.want {
			t.Errorf("from %s with %q: %s, want %s", tt.remote, tt.headers, got, tt.want)
		}
	}
}

// Whatever a header says, the address is the connection's own or one that stands in
// the header to the right of all that is not listed.
func FuzzAddress(f *testing.F) {
	f.Add("10.0.0.1:80", "203.0.113.1, 10.0.0.2", "")
	f.Add("192.0.2.7:80", "203.0.113.1", "1.2.3.4")
	f.Add("[2001:db8::1%eth0]:80", ",,", " , x")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, remote, first, second string) {
		got := Address(remote, []string{first, second}, proxies)
		own := Address(remote, nil, nil)
		if !Listed(own, proxies) {
			if got != own {
				t.Errorf("%q is nobody's proxy, and was believed that %q", remote, got)
			}
			return
		}
		if got == own {
			return
		}
		if _, err := netip.ParseAddr(got); err != nil {
			t.Errorf("%q is no address", got)
		}
		_, right, found := cutLast(first+","+second, got)
		for hop := range strings.SplitSeq(strings.Trim(right, ", \t"), ",") {
			if hop = strings.TrimSpace(hop); found && hop != "" && !Listed(hop, proxies) {
				t.Errorf("%q was believed past %q in %q", got, hop, first+","+second)
			}
		}
		if !found {
			t.Errorf("%q stands nowhere in %q", got, first+","+second)
		}
	})
}

// cutLast cuts around the last time that an address stands among hops.
func cutLast(hops, address string) (left, right string, found bool) {
	list := strings.Split(hops, ",")
	for i := len(list) - 1; i >= 0; i-- {
		if strings.TrimSpace(list[i]) == address {
			return strings.Join(list[:i], ","), strings.Join(list[i+1:], ","), true
		}
	}
	return hops, "", false
}
