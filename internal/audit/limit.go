package audit

import (
	"strconv"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// refusalsAMinute is how many refusals of one address are recorded one by one.
	refusalsAMinute = 60
	// maxAddresses bounds what is remembered; those beyond it share one count.
	maxAddresses = 10_000
	// dueEvery keeps the look at all of them off the path of each event.
	dueEvery = time.Second
)

type origin struct {
	tenant  lodge.Tenant
	address string
}

// tally is one address's refusals within a minute.
type tally struct {
	since time.Time
	seen  int
}

// limits keep who is turned away again and again from filling the disk.
type limits struct {
	mu      sync.Mutex
	tallies map[origin]*tally // guarded by mu
	looked  time.Time         // guarded by mu: when due last looked at them all
}

// allow counts a refusal and reports whether it is to be recorded by itself.
func (l *limits) allow(tenant lodge.Tenant, address string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := origin{tenant, address}
	if l.tallies[key] == nil && len(l.tallies) >= maxAddresses {
		key.address = "elsewhere"
	}
	one := l.tallies[key]
	if one == nil {
		if l.tallies == nil {
			l.tallies = map[origin]*tally{}
		}
		one = &tally{since: now}
		l.tallies[key] = one
	}
	one.seen++
	return one.seen <= refusalsAMinute
}

// due forgets the minutes that are over, or all, and returns an event for each in
// which refusals were only counted.
func (l *limits) due(now time.Time, all bool) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !all && now.Sub(l.looked) < dueEvery {
		return nil
	}
	l.looked = now
	var events []Event
	for key, one := range l.tallies {
		if !all && now.Sub(one.since) < time.Minute {
			continue
		}
		delete(l.tallies, key)
		if more := one.seen - refusalsAMinute; more > 0 {
			events = append(events, Event{
				Tenant: key.tenant, Actor: "nobody", Action: Omitted, Object: "refusals", Address: key.address,
				Reason: strconv.Itoa(more) + " more refusals within a minute of " + one.since.UTC().Format(time.RFC3339) + " were counted only",
			})
		}
	}
	return events
}
