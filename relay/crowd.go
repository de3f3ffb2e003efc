package relay

import (
	"net/netip"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A crowd counts who is connected, by person and by address, and lets no more of
// either in than it may. Counts that are nought take no room.
type crowd struct {
	perPerson, perAddress int // static

	mu sync.Mutex
	in map[crowdKey]int // guarded by mu
}

// crowdKey is a person of a tenant, or an address of any.
type crowdKey struct {
	tenant lodge.Tenant
	name   string
}

// crowdWait is after how long somebody who was let in no further may try again.
const crowdWait = 5 * time.Second

// enter counts a connection in, until leave is called; or says why it may not.
func (c *crowd) enter(g Grant, address string) (leave func(), err error) {
	person, counted := personKey(g)
	place := crowdKey{name: network(address)}
	c.mu.Lock()
	defer c.mu.Unlock()
	var e *lodge.Error
	switch {
	case g.Kind == kindCanary:
		return func() {}, nil
	case counted && c.in[person] >= c.perPerson:
		e = lodge.E(lodge.CodeTooMany, "You have too many streams open; close windows that you do not need, then try again.")
	case c.in[place] >= c.perAddress:
		e = lodge.E(lodge.CodeTooMany, "Too many streams are open from your network; try again in a moment.")
	}
	if e != nil {
		e.RetryAfter = crowdWait
		return nil, e
	}
	keys := []crowdKey{place}
	if counted {
		keys = append(keys, person)
	}
	for _, key := range keys {
		c.in[key]++
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, key := range keys {
			if c.in[key]--; c.in[key] == 0 {
				delete(c.in, key)
			}
		}
	}, nil
}

// personKey is whom a connection counts for: hardware and automation for nobody,
// who holds a signed token, which names no person, for the booking.
func personKey(g Grant) (crowdKey, bool) {
	switch {
	case g.Kind != kindExperiment && g.Kind != KindToken:
		return crowdKey{}, false
	case g.Person != "":
		return crowdKey{g.Tenant, "person:" + string(g.Person)}, true
	default:
		return crowdKey{g.Tenant, "booking:" + g.Booking}, g.Booking != ""
	}
}

// network is what an address counts for: itself, of IPv6 the 64 bits that one
// customer has.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return "address:" + address
		}
		ip = at.Addr()
	}
	if ip = ip.Unmap(); ip.Is6() {
		prefix, err := ip.WithZone("").Prefix(64)
		if err == nil {
			return "address:" + prefix.String()
		}
	}
	return "address:" + ip.String()
}
