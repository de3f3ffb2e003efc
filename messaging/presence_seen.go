package messaging

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Seen tells that somebody was connected to this node during an interval. The
// same connection is reported again as it grows.
type Seen struct {
	Tenant   lodge.Tenant
	Person   lodge.PersonID
	Name     string
	From, To time.Time
}

// attendee is a person with connections; guarded by Hub.mu.
type attendee struct {
	name  string
	conns []*hubConn // few
}

// attending is what a person's connections come to.
type attending struct {
	person      lodge.PersonID
	name        string
	count       int
	since, seen time.Time // of the oldest, of the liveliest
}

func (a *attendee) presence(person lodge.PersonID) attending {
	all := attending{person: person, name: a.name}
	for _, c := range a.conns {
		if !c.present {
			continue
		}
		all.count++
		if all.since.IsZero() || c.started.Before(all.since) {
			all.since = c.started
		}
		if seen := time.UnixMicro(c.seen.Load()).UTC(); seen.After(all.seen) {
			all.seen = seen
		}
	}
	return all
}

// report notes that somebody came or is about to leave, for the other nodes and
// for Seen; h.mu is held.
func (h *Hub) report(key personKey, p attending) {
	h.receipts.follow(key.tenant)
	h.presence.note(key.tenant, stayKey{key.person, inMessages})
	h.noteSeen(key, p)
}

// noteSeen notes what Run is to tell Seen about a person; h.mu is held.
func (h *Hub) noteSeen(key personKey, p attending) {
	if h.opts.Seen == nil {
		return
	}
	s := Seen{Tenant: key.tenant, Person: key.person, Name: p.name, From: p.since, To: p.seen}
	if before, ok := h.reports[key]; ok && before.From.Before(s.From) {
		// Somebody who left and came back before the report was made: one
		// interval, since what lies between is shorter than a report takes.
		s.From = before.From
	}
	h.reports[key] = s
	poke(h.arrivals)
}

// seenGather is for how long those who come are gathered before Seen is told: what
// it does then costs nearly as much for one as for all who come back at once.
const seenGather = 50 * time.Millisecond

// runSeen tells Seen who came, stays and left.
func (h *Hub) runSeen(ctx context.Context) {
	if h.opts.Seen == nil {
		return
	}
	tick := time.NewTicker(h.opts.PingEvery)
	defer tick.Stop()
	var gathered <-chan time.Time // nil: nobody has come
	for {
		select {
		case <-h.arrivals:
			if gathered == nil {
				gathered = time.After(seenGather)
			}
			continue
		case <-gathered:
			gathered = nil
		case <-tick.C:
			h.mu.Lock()
			for key, a := range h.people {
				if p := a.presence(key.person); p.count > 0 {
					h.noteSeen(key, p)
				}
			}
			h.mu.Unlock()
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
		reports := h.reports
		h.reports = make(map[personKey]Seen)
		h.mu.Unlock()
		if len(reports) > 0 {
			h.opts.Seen(ctx, slices.Collect(maps.Values(reports)))
		}
	}
}
