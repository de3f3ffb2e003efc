// Package forwarded says which address a request came from, past the proxies that
// may say so. What a header claims counts only as far as each hop on the way was a
// proxy that is listed.
package forwarded

import (
	"net"
	"net/netip"
	"strings"
)

// Address returns the rightmost address that is not a listed proxy. remote is the
// connection's other end, with a port or without, and headers are the values of
// X-Forwarded-For in their order, which count only when that end is listed. What
// is no address ends the search at the hop before it.
func Address(remote string, headers []string, proxies []netip.Prefix) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	if !Listed(host, proxies) {
		return host
	}
	hops := strings.Split(strings.Join(headers, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			return host
		}
		if host = hop; !Listed(hop, proxies) {
			return hop
		}
	}
	return host
}

// Listed reports whether an address is one of the proxies.
func Listed(address string, proxies []netip.Prefix) bool {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, prefix := range proxies {
		if prefix.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}
