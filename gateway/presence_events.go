package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
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

// techniciansOf is the kind of the topics on which those who look after an
// experiment hear who is in it.
const techniciansOf = "technicians"

// tends reports whether somebody looks after an experiment.
func tends(bindings []lodge.Binding, experiment string) bool {
	return slices.ContainsFunc(bindings, func(b lodge.Binding) bool {
		return b.Role == lodge.RoleTechnician && (b.Scope == lodge.ScopeTenant || b.Scope == lodge.ScopeOf("experiment", experiment))
	})
}

// moved tells those who are connected to this node who came or left, on whatever
// node: instructors of the members of their groups, technicians of those in their
// experiments, lab partners of each other.
func (p *presence) moved(ctx context.Context, tenant lodge.Tenant, moves []messaging.Move) {
	if err := p.tell(ctx, tenant, moves); err != nil && ctx.Err() == nil {
		p.g.log.WarnContext(ctx, "presence", "err", err)
	}
}

func (p *presence) tell(ctx context.Context, tenant lodge.Tenant, moves []messaging.Move) error {
	cat, err := p.g.desk.Catalogue(ctx, tenant)
	if err != nil {
		return err
	}
	heard := map[string][]PersonPresence{} // by topic that somebody here is given
	for group := range cat.Groups {
		if topic := inboxOf(group); p.g.hub.Delivers(tenant, topic) {
			heard[topic] = nil
		}
	}
	for _, m := range moves {
		for _, experiment := range slices.Concat(m.Experiments, m.Left) {
			if topic := techniciansOf + ":" + experiment; p.g.hub.Delivers(tenant, topic) {
				heard[topic] = nil
			}
		}
	}
	shared, err := p.sharedNow(ctx, tenant, moves)
	if err != nil {
		return err
	}
	if len(heard) == 0 && len(shared) == 0 {
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
			if list, ok := heard[inboxOf(group)]; ok {
				heard[inboxOf(group)] = append(list, people[person.ID].PersonPresence)
			}
		}
	}
	for _, one := range people {
		for experiment := range one.touched {
			topic := techniciansOf + ":" + experiment
			if list, ok := heard[topic]; ok {
				heard[topic] = append(list, one.in(experiment))
			}
		}
	}
	for _, b := range shared {
		for id, one := range people {
			if one.touched[b.Experiment] && b.with[id] {
				heard[b.topic()] = append(heard[b.topic()], one.in(b.Experiment))
			}
		}
	}
	for topic, list := range heard {
		for part := range slices.Chunk(list, peoplePerEvent) {
			if err := p.g.notify(tenant, topic, messaging.TypePresence, PresenceChanged{People: part}); err != nil {
				return err
			}
		}
	}
	return nil
}

// partnership is a booking that is shared, and by whom.
type partnership struct {
	booking.Booking
	with map[lodge.PersonID]bool
}

func (b partnership) topic() string { return "booking:" + b.ID }

// sharedNow returns the bookings that are under way on the experiments of moves, are
// shared, and are heard of here.
func (p *presence) sharedNow(ctx context.Context, tenant lodge.Tenant, moves []messaging.Move) ([]partnership, error) {
	var found []partnership
	looked := map[string]bool{}
	now := p.g.clock.Now()
	for _, m := range moves {
		for _, experiment := range slices.Concat(m.Experiments, m.Left) {
			// Whoever hears of the booking hears of its experiment.
			if looked[experiment] || !p.g.hub.Delivers(tenant, "experiment:"+experiment) {
				continue
			}
			looked[experiment] = true
			bookings, err := p.g.desk.ListByExperiment(ctx, tenant, experiment, now, now.Add(time.Second))
			if err != nil {
				return nil, err
			}
			for _, b := range bookings {
				one := partnership{b, map[lodge.PersonID]bool{b.Owner: true}}
				if !p.g.hub.Delivers(tenant, one.topic()) {
					continue
				}
				share, err := p.g.desk.ShareFor(ctx, tenant, b.ID)
				if err != nil {
					return nil, err
				}
				for _, partner := range share.Partners {
					one.with[partner.Person] = true
				}
				if len(one.with) > 1 {
					found = append(found, one)
				}
			}
		}
	}
	return found, nil
}

// in is somebody as the technicians of an experiment, and those who share a booking of
// it, see them: where else they are is not theirs to know.
func (p PersonPresence) in(experiment string) PersonPresence {
	there := slices.Contains(p.Experiments, experiment)
	p.Experiments = []string{}
	if there {
		p.Experiments = append(p.Experiments, experiment)
	}
	return p
}

// A mover is somebody who moved, with the experiments that this concerns.
type mover struct {
	PersonPresence
	touched map[string]bool
}

// asPersons says where those who moved are now, by whom they count as: somebody
// who was merged is where any of their ids is.
func (p *presence) asPersons(ctx context.Context, tenant lodge.Tenant, moves []messaging.Move) (map[lodge.PersonID]mover, error) {
	merged, err := p.g.persons.Merged(ctx, tenant)
	if err != nil {
		return nil, err
	}
	people := make(map[lodge.PersonID]mover, len(moves))
	several := false
	for _, m := range moves {
		person := merged.Of(m.Person)
		touched := people[person].touched
		if touched == nil {
			touched = make(map[string]bool)
		}
		for _, experiment := range slices.Concat(m.Experiments, m.Left) {
			touched[experiment] = true
		}
		people[person] = mover{PersonPresence{Person: string(person), Name: m.Name, Messages: m.Messages, Experiments: append([]string{}, m.Experiments...)}, touched}
		several = several || len(merged) > 0 && len(merged.All(person)) > 1
	}
	if !several {
		return people, nil
	}
	online, err := p.g.hub.Online(ctx, tenant)
	if err != nil {
		return nil, err
	}
	there := whereabouts(online, merged)
	for person, one := range people {
		if len(merged.All(person)) > 1 {
			now := there[person] // by whatever id of theirs
			one.Messages, one.Experiments = now.Messages, append([]string{}, now.Experiments...)
			people[person] = one
		}
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
