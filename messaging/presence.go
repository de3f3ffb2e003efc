package messaging

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Presence is a person who is connected to this node.
type Presence struct {
	Person      lodge.PersonID
	Name        string
	Connections int
	Since       time.Time // when the oldest of the connections began
	Seen        time.Time // when one of them last showed life
}

// A Seen tells that somebody was connected during an interval. The same
// connection is reported again as it grows.
type Seen struct {
	Tenant   lodge.Tenant
	Person   lodge.PersonID
	Name     string
	From, To time.Time
}

// attendee is a person with connections; guarded by Hub.mu.
type attendee struct {
	name  string
	conns map[*hubConn]struct{}
}

// Online returns who is connected in a tenant, by person. Presence is on a
// lease: somebody whose connections have all been silent for longer than two
// pings and a pong is not there, even while a broken connection lingers.
func (h *Hub) Online(tenant lodge.Tenant) []Presence {
	lapsed := h.clock.Now().Add(-2*h.opts.PingEvery - h.opts.PongLimit)
	h.mu.Lock()
	defer h.mu.Unlock()
	var online []Presence
	for key, a := range h.people {
		if key.tenant != tenant {
			continue
		}
		p := a.presence(key.person)
		if p.Connections > 0 && p.Seen.After(lapsed) {
			online = append(online, p)
		}
	}
	slices.SortFunc(online, func(a, b Presence) int { return cmp.Compare(a.Person, b.Person) })
	return online
}

func (a *attendee) presence(person lodge.PersonID) Presence {
	p := Presence{Person: person, Name: a.name}
	for c := range a.conns {
		if !c.present {
			continue
		}
		p.Connections++
		if p.Since.IsZero() || c.started.Before(p.Since) {
			p.Since = c.started
		}
		if seen := time.UnixMicro(c.seen.Load()).UTC(); seen.After(p.Seen) {
			p.Seen = seen
		}
	}
	return p
}

// report notes what Run is to tell Seen about a person; h.mu is held.
func (h *Hub) report(key personKey, p Presence) {
	if h.opts.Seen == nil {
		return
	}
	s := Seen{Tenant: key.tenant, Person: key.person, Name: p.Name, From: p.Since, To: p.Seen}
	if before, ok := h.reports[key]; ok && before.From.Before(s.From) {
		// Somebody who left and came back before the report was made: one
		// interval, since what lies between is shorter than a report takes.
		s.From = before.From
	}
	h.reports[key] = s
	select {
	case h.arrivals <- struct{}{}:
	default:
	}
}

// runPresence tells Seen who came, stays and left.
func (h *Hub) runPresence(ctx context.Context) {
	if h.opts.Seen == nil {
		return
	}
	tick := time.NewTicker(h.opts.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.arrivals:
		case <-tick.C:
			h.mu.Lock()
			for key, a := range h.people {
				if p := a.presence(key.person); p.Connections > 0 {
					h.report(key, p)
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
		for _, s := range reports {
			h.opts.Seen(ctx, s)
		}
	}
}
