package gateway

import (
	"context"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging"
)

// BookingChanged is the data of a lodge.booking event.
type BookingChanged struct {
	Booking    string `json:"booking"`
	Change     string `json:"change"` // booked, extended, moved, renewed, rotated, cancelled, reminder
	Experiment string `json:"experiment"`
	Start      string `json:"start"`
	End        string `json:"end"`
	Reason     string `json:"reason,omitempty"`
}

// ExperimentChanged is the data of a lodge.experiment event.
type ExperimentChanged struct {
	Experiment string `json:"experiment"`
	Online     bool   `json:"online"`
	Reason     string `json:"reason,omitempty"`
}

// effects carries out what a committed change of a booking means for the other
// stores. The booking store's outbox calls it, again if need be, so each step
// can be repeated: session changes are idempotent, messages carry the effect's
// id.
type effects struct{ g *Gateway }

func (e effects) Carry(ctx context.Context, ef booking.Effect) error {
	g := e.g
	b := ef.Booking
	keep := g.desk.MessagesUntil(b)
	switch ef.Kind {
	case booking.EffectExtended:
		if err := g.sessions.Extend(ctx, ef.Tenant, b.ID, b.End, keep); err != nil {
			return err
		}
	case booking.EffectCancelled:
		// First what must not go on, then the news of it.
		if err := g.sessions.Cancel(ctx, ef.Tenant, b.ID, ef.Reason, keep); err != nil {
			return err
		}
	case booking.EffectRotated:
		if err := g.endOpened(ctx, b, ef.At); err != nil {
			return err
		}
	case booking.EffectFreed:
		return g.tellFreed(ctx, ef)
	case booking.EffectOffline, booking.EffectOnline:
		if ef.Kind == booking.EffectOnline {
			tests, err := g.testsOf(ctx, ef.Tenant, ef.Experiment)
			if err != nil {
				return err
			}
			if err := g.endTest(ctx, tests, "lodge", testOver); err != nil {
				return err
			}
		}
		if err := g.stateChanged(ctx, ef.Tenant, ef.Experiment); err != nil {
			return err
		}
		return g.publish(ctx, ef.Tenant, "experiment:"+ef.Experiment, messaging.TypeExperiment, effectID(ef),
			ExperimentChanged{Experiment: ef.Experiment, Online: ef.Kind == booking.EffectOnline, Reason: ef.Reason})
	case booking.EffectMoved, booking.EffectRenewed:
		if err := e.place(ctx, ef); err != nil {
			return err
		}
	case booking.EffectControl:
		return e.control(ctx, ef)
	case booking.EffectCatalogue, booking.EffectOffered:
		return e.catalogueChanged(ctx, ef)
	case booking.EffectReminder:
		box, err := g.persons.Mailbox(ctx, ef.Tenant, b.Owner)
		if err != nil || box.NoReminders {
			return err
		}
	case booking.EffectBooked:
	}
	g.membershipOf(ctx, ef.Tenant, b.Owner)
	return g.publish(ctx, ef.Tenant, "booking:"+b.ID, messaging.TypeBooking, effectID(ef), BookingChanged{
		Booking: b.ID, Change: string(ef.Kind), Experiment: b.Experiment, Start: b.Start.Format(timeFormat), End: b.End.Format(timeFormat), Reason: ef.Reason,
	})
}

func effectID(ef booking.Effect) string { return "effect-" + ef.ID }

// publish appends one event of Lodge's own to a topic. The same id again changes
// nothing.
func (g *Gateway) publish(ctx context.Context, tenant lodge.Tenant, topic, typ, id string, data any) error {
	_, err := g.append(ctx, tenant, topic, typ, id, "", data)
	return err
}

// append is publish on behalf of a person, who is told of receipts.
func (g *Gateway) append(ctx context.Context, tenant lodge.Tenant, topic, typ, id string, sender lodge.PersonID, data any) (messaging.Appended, error) {
	event, err := messaging.NewEvent(typ, topic, g.clock.Now(), data)
	if err != nil {
		return messaging.Appended{}, err
	}
	event.ID, event.Sender = id, sender
	msg, err := event.Message()
	if err != nil {
		return messaging.Appended{}, err
	}
	begun := time.Now()
	done, err := g.topics.Append(ctx, tenant, topic, msg)
	g.published(begun, err)
	if err != nil {
		return messaging.Appended{}, err
	}
	return done[0], nil
}

// membershipOf wakes a person's message connections, on whatever node: their topics
// may have changed. Whoever is missed is found by the hub's poll.
func (g *Gateway) membershipOf(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) {
	g.hub.Reconsider(tenant, person) // here even if nothing can be published
	g.sessions.Announce(ctx, tenant, person)
}
