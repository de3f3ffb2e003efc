package gateway

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// members tells the hub which topics a session gets now, and when to ask again.
type members struct{ g *Gateway }

func (m members) Topics(ctx context.Context, session string, tenant lodge.Tenant) (messaging.Subscriber, error) {
	s, err := m.g.sessions.Get(ctx, tenant, sessions.ID(session))
	if err != nil {
		return messaging.Subscriber{}, err
	}
	return m.g.subscriber(ctx, s)
}

func (m members) Join(ctx context.Context, session string, tenant lodge.Tenant, fn func(error)) (messaging.Subscriber, func(), error) {
	s, stop, err := m.g.sessions.GetWatched(ctx, tenant, sessions.ID(session), func(_ sessions.Session, err error) {
		if lodge.CodeOf(err) != lodge.CodeUnavailable {
			err = nil // what the session is now, or that it is gone, Topics tells
		}
		fn(err)
	})
	if err != nil {
		return messaging.Subscriber{}, nil, err
	}
	sub, err := m.g.subscriber(ctx, s)
	if err != nil {
		stop()
		return messaging.Subscriber{}, nil, err
	}
	return sub, stop, nil
}

// subscriber is a session as the hub knows it, with what it may hear now, or why
// it may not listen.
func (g *Gateway) subscriber(ctx context.Context, s sessions.Session) (messaging.Subscriber, error) {
	sub, err := g.mayListen(s)
	if err != nil {
		return messaging.Subscriber{}, err
	}
	m, err := g.membership(ctx, s)
	if err != nil {
		return messaging.Subscriber{}, err
	}
	sub.Topics, sub.Since = m.topics, m.since
	return sub, nil
}

// mayListen is a session as the hub knows it before anybody asked for its topics,
// or why it may not listen.
func (g *Gateway) mayListen(s sessions.Session) (messaging.Subscriber, error) {
	if !s.Messages(g.clock.Now()) {
		if !s.RevokedAt.IsZero() {
			return messaging.Subscriber{}, lodge.Wrap(lodge.CodeForbidden, orElse(s.Reason, "The session was ended."), sessions.ErrRevoked)
		}
		return messaging.Subscriber{}, lodge.Wrap(lodge.CodeUnauthenticated, "The session has run out; sign in again.", sessions.ErrExpired)
	}
	return messaging.Subscriber{Tenant: s.Tenant, Person: s.Person, Session: string(s.ID), Name: s.Name}, nil
}

// membership is what a session may hear now, and from when on.
type membership struct {
	topics []string
	since  map[string]time.Time
}

func (m *membership) add(topic string) {
	if !slices.Contains(m.topics, topic) {
		m.topics = append(m.topics, topic)
	}
}

// from adds a topic whose entries before a time are none of this session's
// business; of several times the earliest counts.
func (m *membership) from(topic string, at time.Time) {
	if known, bounded := m.since[topic]; slices.Contains(m.topics, topic) && (!bounded || known.Before(at)) {
		return
	}
	m.add(topic)
	if m.since == nil {
		m.since = map[string]time.Time{}
	}
	m.since[topic] = at
}

// membership derives the topics of a session from what holds now, as the design's
// "Who gets which topic" has it.
func (g *Gateway) membership(ctx context.Context, s sessions.Session) (*membership, error) {
	now := g.clock.Now()
	m := &membership{}
	m.add("all")
	if isTest(s) {
		m.from("experiment:"+s.Experiment, s.CreatedAt)
		return m, nil
	}
	if s.Kind != sessions.Login {
		b, err := g.desk.Get(ctx, s.Tenant, s.Booking)
		if err != nil {
			return nil, err
		}
		g.addBooking(m, b, now)
		return m, nil
	}
	for _, group := range s.Groups {
		m.add("group:" + group)
	}
	merged, err := g.persons.Merged(ctx, s.Tenant)
	if err != nil {
		return nil, err
	}
	ids := merged.All(s.Person)
	for _, id := range ids {
		m.add("user:" + string(id))
	}
	if err := g.addBindings(ctx, s, m); err != nil {
		return nil, err
	}
	heard, err := g.desk.Heard(ctx, s.Tenant, s.Person, ids...)
	if err != nil {
		return nil, err
	}
	for _, b := range heard {
		g.addBooking(m, b, now)
	}
	return m, nil
}

// addBooking adds what a booking brings: its own topic from its making, its
// experiment's from its start, both until the message period after its end.
func (g *Gateway) addBooking(m *membership, b booking.Booking, now time.Time) {
	if !now.Before(g.desk.MessagesUntil(b)) {
		return
	}
	m.add("booking:" + b.ID)
	if now.Before(b.Start) || (!b.CancelledAt.IsZero() && !b.CancelledAt.After(b.Start)) {
		return
	}
	m.from("experiment:"+b.Experiment, b.Start)
}

// bookingTopic is the booking that a topic is of.
func bookingTopic(topic string) (id string, is bool) { return strings.CutPrefix(topic, "booking:") }

// addBindings adds the topics of those who teach and who keep the rigs.
func (g *Gateway) addBindings(ctx context.Context, s sessions.Session, m *membership) error {
	if len(s.Bindings) > 0 {
		cat, err := g.desk.Catalogue(ctx, s.Tenant)
		if err != nil {
			return err
		}
		for _, group := range sortedKeys(cat.Groups) {
			if instructs(s.Bindings, group) {
				m.add(inboxOf(group))
			}
		}
		for _, experiment := range sortedKeys(cat.Experiments) {
			if tends(s.Bindings, experiment) {
				m.add(techniciansOf + ":" + experiment)
			}
		}
	}
	for _, b := range s.Bindings {
		switch {
		case b.Role == lodge.RoleInstructor && b.Scope == lodge.ScopeTenant:
			cat, err := g.desk.Catalogue(ctx, s.Tenant)
			if err != nil {
				return err
			}
			for _, group := range sortedKeys(cat.Groups) {
				m.add("group:" + group)
			}
			for _, experiment := range sortedKeys(cat.Experiments) {
				m.add("experiment:" + experiment)
			}
		case b.Role == lodge.RoleInstructor && b.Scope.Kind() == "group",
			b.Role == lodge.RoleTechnician && b.Scope.Kind() == "experiment":
			m.add(string(b.Scope))
		}
	}
	return nil
}
