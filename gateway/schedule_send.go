package gateway

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/sessions"
)

// claimHold is how long what a node took up is left to it.
const claimHold = 10 * time.Second

// sender sends scheduled messages when their time has come, on every node. Which
// of them takes a message up is decided on the schedule, and whoever repeats what
// another began publishes the same message id: so it is one message.
type sender struct{ *Gateway }

// Run sends what is due until ctx ends.
func (g sender) Run(ctx context.Context) error {
	changed := func(tenant lodge.Tenant) <-chan struct{} { return g.scheduled.of(tenant).Changed() }
	return dues{g.Gateway, "scheduled messages", changed, g.round}.Run(ctx)
}

// round sends what is due, and says when there is more to do.
func (g sender) round(ctx context.Context, tenant lodge.Tenant) (left ahead, err error) {
	open, err := g.scheduled.view(ctx, tenant, func(m *scheduled) bool { return !m.over() })
	if err != nil {
		return ahead{}, err
	}
	for _, m := range open {
		due := m.due()
		if g.clock.Now().Before(due) {
			if left.next.IsZero() || due.Before(left.next) {
				left.next = due
			}
			continue
		}
		if err := g.take(ctx, tenant, m.Message.ID); err != nil {
			return ahead{}, err
		}
	}
	return left, nil
}

// due is when a node may take a message up.
func (m *scheduled) due() time.Time {
	if m.State == sending {
		return m.Since.Add(claimHold)
	}
	return m.Message.At
}

// take sends a message if no other node did so or is about to.
func (g sender) take(ctx context.Context, tenant lodge.Tenant, id string) error {
	claim := rand.Text()
	var mine *scheduled
	err := g.scheduled.decide(ctx, tenant, id, func(m *scheduled) (*scheduleEntry, error) {
		mine = nil
		now := g.clock.Now()
		if m == nil || m.over() || now.Before(m.due()) {
			return nil, nil //nolint:nilnil // nothing is to be done
		}
		taken := *m
		mine = &taken
		return &scheduleEntry{Kind: scheduleClaim, ID: id, Time: now, Claim: claim}, nil
	})
	if err != nil || mine == nil {
		return err
	}
	done := scheduleEntry{Kind: scheduleDone, ID: id, Time: g.clock.Now()}
	switch err := g.publishScheduled(ctx, tenant, mine); {
	case err == nil:
	case !decided(err):
		return err
	default:
		done.Reason = reasonOf(err)
		g.record(ctx, tenant, actorOf(mine.as(tenant)), audit.Deny, mine.Message.Notice.To, "message "+id+", scheduled: "+done.Reason)
	}
	if err := g.scheduled.add(ctx, tenant, done); err != nil {
		return err
	}
	return g.forgetErased(ctx, tenant, mine)
}

// forgetErased takes away what was noted in a person's log of messages sent if they
// were erased, with that log, while one of theirs was being sent.
func (g sender) forgetErased(ctx context.Context, tenant lodge.Tenant, m *scheduled) error {
	erased := false
	_, err := g.scheduled.view(ctx, tenant, func(now *scheduled) bool {
		erased = erased || now.Message.ID == m.Message.ID && now.State == cancelled
		return false
	})
	if err != nil || !erased || m.Service != "" {
		return err
	}
	return g.topics.Drop(ctx, tenant, "sent:"+string(m.Person))
}

// as is the session in whose name a message is sent, as far as it is known from
// the schedule.
func (m *scheduled) as(tenant lodge.Tenant) sessions.Session {
	if m.Service != "" {
		return sessions.Session{Tenant: tenant, Kind: sessions.Service, ID: sessions.ID(m.Service)}
	}
	return sessions.Session{Tenant: tenant, Kind: sessions.Login, Person: m.Person}
}

// publishScheduled checks a message again, against what its sender may do and
// whom there is to reach now, and publishes it.
func (g sender) publishScheduled(ctx context.Context, tenant lodge.Tenant, m *scheduled) error {
	s, err := g.senderNow(ctx, m.as(tenant))
	if err != nil {
		return err
	}
	n := m.Message.Notice
	again, err := g.compose(ctx, s, MessageRequest{To: n.To, Title: n.Title, Text: n.Text, Priority: n.Priority, Replies: n.Replies})
	if err != nil {
		return err
	}
	n.ToName = again.Notice.ToName
	one := sent{ID: m.Message.ID, Time: g.clock.Now(), Notice: n}
	if !n.Expires.IsZero() && !one.Time.Before(n.Expires) {
		return lodge.E(lodge.CodeRefused, "It expired before it could be sent.")
	}
	_, err = g.deliver(ctx, tenant, actorOf(s), m.sender(), one, recordID(one.ID))
	return err
}

// recordID is the id of the record, in its sender's log, that a scheduled message
// was sent: the message's own id is the request's.
func recordID(message string) string { return "sent-" + message }

// senderNow is the session with the rights its holder has at this moment, signed
// in or not.
func (g *Gateway) senderNow(ctx context.Context, s sessions.Session) (sessions.Session, error) {
	if s.Kind == sessions.Service {
		now, err := g.sessions.Get(ctx, s.Tenant, s.ID)
		if err == nil && now.State(g.clock.Now()) == sessions.Active {
			return now, nil
		}
		if err != nil && !decided(err) {
			return s, err
		}
		return s, lodge.E(lodge.CodeForbidden, "The service code that sent it is good no more.")
	}
	merged, err := g.persons.Merged(ctx, s.Tenant)
	if err != nil {
		return s, err
	}
	found, err := g.persons.Get(ctx, s.Tenant, merged.Of(s.Person))
	if err != nil {
		return s, err
	}
	if len(found) == 0 || found[0].Disabled {
		return s, lodge.E(lodge.CodeForbidden, "Whoever sent it may not sign in any more.")
	}
	s.Name, s.Groups = found[0].Name, found[0].Groups
	s.Bindings, err = g.bindings(ctx, found[0])
	return s, err
}
