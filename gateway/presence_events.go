package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/attendance"
)

// PresenceChanged is the data of a lodge.presence event: people who came, left or
// went elsewhere, as they are now.
type PresenceChanged struct {
	People []PersonPresence `json:"people"`
}

// PersonPresence is where somebody is; of somebody who has left, nowhere.
type PersonPresence struct {
	Person      string   `json:"person"`
	Name        string   `json:"name"`
	Messages    bool     `json:"messages"` // reachable by messages at this moment
	Experiments []string `json:"experiments"`
}

// peoplePerEvent bounds a lodge.presence event.
const peoplePerEvent = 200

// moved tells the instructors who are connected to this node of the members of
// their groups who came or left, on whatever node.
func (p *presence) moved(ctx context.Context, tenant lodge.Tenant, moves []messaging.Move) {
	if err := p.tellInstructors(ctx, tenant, moves); err != nil && ctx.Err() == nil {
		p.g.log.WarnContext(ctx, "presence", "err", err)
	}
}

func (p *presence) tellInstructors(ctx context.Context, tenant lodge.Tenant, moves []messaging.Move) error {
	cat, err := p.g.desk.Catalogue(ctx, tenant)
	if err != nil {
		return err
	}
	heard := map[string][]PersonPresence{} // by group that somebody here teaches
	for group := range cat.Groups {
		if p.g.hub.Delivers(tenant, "instructors:"+group) {
			heard[group] = nil
		}
	}
	if len(heard) == 0 {
		return nil
	}
	people, err := p.asPersons(ctx, tenant, moves)
	if err != nil {
		return err
	}
	known, err := p.g.persons.Get(ctx, tenant, slices.Sorted(maps.Keys(people))...)
	if err != nil {
		return err
	}
	for _, person := range known {
		for _, group := range person.Groups {
			if list, ok := heard[group]; ok {
				heard[group] = append(list, people[person.ID])
			}
		}
	}
	for group, list := range heard {
		for part := range slices.Chunk(list, peoplePerEvent) {
			if err := p.g.notify(tenant, "instructors:"+group, messaging.TypePresence, PresenceChanged{People: part}); err != nil {
				return err
			}
		}
	}
	return nil
}

// asPersons says where those who moved are now, by whom they count as: somebody
// who was merged is where any of their ids is.
func (p *presence) asPersons(ctx context.Context, tenant lodge.Tenant, moves []messaging.Move) (map[lodge.PersonID]PersonPresence, error) {
	merged, err := p.g.persons.Merged(ctx, tenant)
	if err != nil {
		return nil, err
	}
	people := make(map[lodge.PersonID]PersonPresence, len(moves))
	several := make(map[lodge.PersonID]map[string]bool) // experiments of those with several ids
	for _, m := range moves {
		person := merged.Of(m.Person)
		people[person] = PersonPresence{Person: string(person), Name: m.Name, Messages: m.Messages, Experiments: append([]string{}, m.Experiments...)}
		if len(merged) > 0 && len(merged.All(person)) > 1 {
			several[person] = make(map[string]bool)
		}
	}
	if len(several) == 0 {
		return people, nil
	}
	online, err := p.g.hub.Online(ctx, tenant)
	if err != nil {
		return nil, err
	}
	for person := range several {
		one := people[person]
		one.Messages = false
		people[person] = one
	}
	for _, o := range online {
		person := merged.Of(o.Person)
		in, ok := several[person]
		if !ok {
			continue
		}
		one := people[person]
		one.Messages = one.Messages || !o.Messages.IsZero()
		for experiment := range o.Experiments {
			in[experiment] = true
		}
		people[person] = one
	}
	for person, in := range several {
		one := people[person]
		one.Experiments = append([]string{}, slices.Sorted(maps.Keys(in))...)
		people[person] = one
	}
	return people, nil
}

// now returns who is there at this moment, on whatever node, as sightings.
func (p *presence) now(ctx context.Context, tenant lodge.Tenant, merged lodge.Merged) ([]attendance.Sighting, error) {
	online, err := p.g.hub.Online(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var out []attendance.Sighting
	see := func(o messaging.Presence, source attendance.Source, since time.Time) {
		if !since.IsZero() && !o.Seen.Before(since) {
			out = append(out, attendance.Sighting{Person: merged.Of(o.Person), Name: o.Name, Source: source, From: since, To: o.Seen})
		}
	}
	for _, o := range online {
		see(o, attendance.FromMessages, o.Messages)
		for _, since := range o.Experiments {
			see(o, attendance.FromExperiment, since)
		}
	}
	return out, nil
}

// catchUp enters in an open register where its members are now: another node may
// not have written down its last minute of them yet.
func (p *presence) catchUp(ctx context.Context, tenant lodge.Tenant, register attendance.Register) error {
	merged, err := p.g.persons.Merged(ctx, tenant)
	if err != nil {
		return err
	}
	seen, err := p.now(ctx, tenant, merged)
	if err != nil {
		return err
	}
	for _, s := range seen {
		if _, member := register.Mark(s.Person); !member {
			continue
		}
		if err := p.g.register.Seen(ctx, tenant, s.Person, s.Name, s.Source, s.From, s.To); err != nil {
			return err
		}
	}
	return nil
}
