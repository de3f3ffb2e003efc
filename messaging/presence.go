package messaging

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Presence is a person who is there, on whatever node.
type Presence struct {
	Person      lodge.PersonID
	Name        string
	Messages    time.Time            // since when they have a message connection; zero: they have none
	Experiments map[string]time.Time // the experiments they are in, and since when
	Seen        time.Time            // when they, or their node for them, last showed life
}

// A Move is somebody who came or left, or went from one place to another: what
// holds of them now.
type Move struct {
	Person      lodge.PersonID
	Name        string
	Messages    bool     // they have a message connection
	Experiments []string // they are in, sorted
	Left        []string // experiments they are not in any more, sorted
}

// Online returns who is there in a tenant, by person: with this node as it is
// now, with the others as they said last. Presence is on leases: who is with a
// node that was not heard of for two and a half heartbeats is not there, nor is
// somebody here whose connections have all been silent for longer than two pings
// and a pong.
func (h *Hub) Online(ctx context.Context, tenant lodge.Tenant) ([]Presence, error) {
	tp, err := h.presence.of(tenant)
	if err != nil {
		return nil, err
	}
	there, err := h.look(ctx, tp)
	if err != nil {
		return nil, err
	}
	online := make([]Presence, 0, len(there))
	for _, p := range there {
		online = append(online, *p)
	}
	slices.SortFunc(online, func(a, b Presence) int { return cmp.Compare(a.Person, b.Person) })
	return online, nil
}

// Reachable reports which people have a message connection, on whatever node, in
// their order. It costs as much as there are people to ask about.
func (h *Hub) Reachable(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) ([]bool, error) {
	tp, err := h.presence.of(tenant)
	if err != nil {
		return nil, err
	}
	reachable := make([]bool, len(people))
	now := h.clock.Now()
	err = tp.book.View(ctx, func(s *presences) {
		for id, heard := range h.presence.hear(tp, s, now) {
			if id == h.presence.node || now.Sub(heard) >= h.presence.lease {
				continue
			}
			there := s.Nodes[id].Places[inMessages]
			for i, person := range people {
				_, ok := there[person]
				reachable[i] = reachable[i] || ok
			}
		}
	})
	if err != nil {
		return nil, err
	}
	lapsed := h.lapsed(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, person := range people {
		if a := h.people[personKey{tenant, person}]; a != nil && !reachable[i] {
			p := a.presence(person)
			reachable[i] = p.count > 0 && p.seen.After(lapsed)
		}
	}
	return reachable, nil
}

// Enter notes that somebody has come to an experiment through this node; each
// has its Leave.
func (h *Hub) Enter(tenant lodge.Tenant, person lodge.PersonID, name, experiment string, at time.Time) {
	h.presence.enter(tenant, stayKey{person, experiment}, name, at)
}

// Leave notes that somebody has left an experiment.
func (h *Hub) Leave(tenant lodge.Tenant, person lodge.PersonID, experiment string) {
	h.presence.leave(tenant, stayKey{person, experiment})
}

// Delivers reports whether anybody on this node is given a topic now: whether a
// Notify of it would reach somebody.
func (h *Hub) Delivers(tenant lodge.Tenant, topic string) bool {
	return len(h.audience(tenant, topic)) > 0
}

// look gathers who is there.
func (h *Hub) look(ctx context.Context, tp *tenantPresence) (map[lodge.PersonID]*Presence, error) {
	there := make(map[lodge.PersonID]*Presence)
	now := h.clock.Now()
	err := tp.book.View(ctx, func(s *presences) {
		for id, heard := range h.presence.hear(tp, s, now) {
			if id == h.presence.node || now.Sub(heard) >= h.presence.lease {
				continue
			}
			for place, people := range s.Nodes[id].Places {
				for person, stay := range people {
					add(there, stayKey{person, place}, stay, heard)
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for key, stay := range h.here(tp) {
		add(there, key, stay.placeStay, stay.seen)
	}
	return there, nil
}

func add(there map[lodge.PersonID]*Presence, key stayKey, stay placeStay, seen time.Time) {
	p := there[key.person]
	if p == nil {
		p = &Presence{Person: key.person}
		there[key.person] = p
	}
	p.Name = cmp.Or(p.Name, stay.Name)
	if seen.After(p.Seen) {
		p.Seen = seen
	}
	since := time.UnixMilli(stay.Since).UTC()
	if key.place == inMessages {
		if p.Messages.IsZero() || since.Before(p.Messages) {
			p.Messages = since
		}
		return
	}
	if p.Experiments == nil {
		p.Experiments = make(map[string]time.Time)
	}
	if known, ok := p.Experiments[key.place]; !ok || since.Before(known) {
		p.Experiments[key.place] = since
	}
}

// moves compares who is there with who was.
func moves(was, is map[lodge.PersonID]*Presence) []Move {
	var all []Move
	for person, p := range is {
		before := was[person]
		if before != nil && before.Messages.IsZero() == p.Messages.IsZero() && sameKeys(before.Experiments, p.Experiments) {
			continue
		}
		m := Move{Person: person, Name: p.Name, Messages: !p.Messages.IsZero(), Experiments: slices.Sorted(maps.Keys(p.Experiments))}
		if before != nil {
			for _, experiment := range slices.Sorted(maps.Keys(before.Experiments)) {
				if _, still := p.Experiments[experiment]; !still {
					m.Left = append(m.Left, experiment)
				}
			}
		}
		all = append(all, m)
	}
	for person, p := range was {
		if is[person] == nil {
			all = append(all, Move{Person: person, Name: p.Name, Left: slices.Sorted(maps.Keys(p.Experiments))})
		}
	}
	slices.SortFunc(all, func(a, b Move) int { return cmp.Compare(a.Person, b.Person) })
	return all
}

func sameKeys(a, b map[string]time.Time) bool {
	if len(a) != len(b) {
		return false
	}
	for key := range a {
		if _, ok := b[key]; !ok {
			return false
		}
	}
	return true
}
