package audit

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Rule says when refusals are recorded one by one and when they are only
// counted. It bounds what a flood writes: refusals are the entries that anybody
// can bring about as often as they like.
//
// Within a minute, the first PerAddress refusals of an address (of IPv6, a /64)
// are entries of their own, as long as there are fewer than Overall in all. The
// others are counted, and the counts become entries (Omitted) when the minute is
// over: one for each address that has entries of its own, one more of a tenant
// for all other addresses together. So refusals write less than 2×Overall entries
// a minute, and one more of each tenant, whatever comes in, and none goes
// uncounted, but for those of the last minute before the process is killed.
type Rule struct {
	PerAddress int // 0: 60
	Overall    int // 0: 600
}

func (r Rule) withDefaults() Rule {
	if r.PerAddress <= 0 {
		r.PerAddress = 60
	}
	if r.Overall <= 0 {
		r.Overall = 600
	}
	return r
}

const (
	// minute is how long refusals are counted together.
	minute = time.Minute
	// elsewhere stands for the addresses that have no entry of their own.
	elsewhere = "elsewhere"
	// dueEvery keeps the look at all tallies off the path of each event.
	dueEvery = time.Second
)

type origin struct {
	tenant  lodge.Tenant
	address string
}

// tally is one origin's refusals within a minute.
type tally struct {
	since  time.Time
	alone  int            // recorded one by one
	counts map[Action]int // the others
}

// limits apply a Rule.
type limits struct {
	rule Rule // static

	mu      sync.Mutex
	tallies map[origin]*tally // guarded by mu; at most Overall and one of each tenant
	since   time.Time         // guarded by mu: when the minute of alone began
	alone   int               // guarded by mu: recorded one by one in it
	looked  time.Time         // guarded by mu: when due last looked at them all

	omitted atomic.Uint64 // refusals that were only counted
}

// Omitted counts the refusals that are no entries of their own, since the start:
// what the Rule bounds.
func (t *Trail) Omitted() uint64 { return t.limits.omitted.Load() }

// network is what counts as one address: a /64 of IPv6, which is one customer's.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Unmap().Is4() {
		return address
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

// allow counts a refusal and reports whether it is to be recorded by itself.
func (l *limits) allow(e Event, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= minute || now.Before(l.since) {
		l.since, l.alone = now, 0
	}
	key := origin{e.Tenant, network(e.Address)}
	if l.tallies[key] == nil && (l.alone >= l.rule.Overall || len(l.tallies) >= l.rule.Overall) {
		key.address = elsewhere
	}
	one := l.tallies[key]
	if one == nil {
		if l.tallies == nil {
			l.tallies = map[origin]*tally{}
		}
		one = &tally{since: now, counts: map[Action]int{}}
		l.tallies[key] = one
	}
	if key.address != elsewhere && one.alone < l.rule.PerAddress && l.alone < l.rule.Overall {
		one.alone++
		l.alone++
		return true
	}
	one.counts[e.Action]++
	l.omitted.Add(1)
	return false
}

// due forgets the minutes that are over, or all, and returns an event for each in
// which refusals were only counted.
func (l *limits) due(now time.Time, all bool) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !all && now.Sub(l.looked) < dueEvery && !now.Before(l.looked) {
		return nil
	}
	l.looked = now
	var events []Event
	for key, one := range l.tallies {
		if !all && now.Sub(one.since) < minute && !now.Before(one.since) {
			continue
		}
		delete(l.tallies, key)
		if len(one.counts) > 0 {
			events = append(events, Event{
				Tenant: key.tenant, Actor: "nobody", Action: Omitted, Object: "refusals", Address: key.address,
				Reason: inWords(one.counts) + " within a minute of " + one.since.UTC().Format(time.RFC3339) + " counted only",
			})
		}
	}
	return events
}

// inWords writes counts as "40 more refusals (3 deny, 37 lookup-refused)".
func inWords(counts map[Action]int) string {
	var parts []string
	sum := 0
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		sum += counts[action]
		parts = append(parts, fmt.Sprint(counts[action], " ", action))
	}
	return fmt.Sprintf("%d more refusals (%s)", sum, strings.Join(parts, ", "))
}
