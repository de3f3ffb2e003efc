package gateway

import (
	"context"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

const (
	// endingsPoll is how often it is looked whose experiment ended, while something
	// waits for that; endingsOverlap is how far back each look goes, for changes that
	// were written later than they say.
	endingsPoll    = time.Second
	endingsOverlap = time.Minute
)

// A sequel is what is put to each person of an audience when their experiment ends: a
// survey, or a hand-in.
type sequel struct {
	id             string
	to             string
	opened, closed time.Time // between which it takes answers; closed: zero for no end yet
	tell           func(ctx context.Context, topic string) error
}

// follows reports whether it is put to a booking's owner when that is over: one that
// began and ended while this takes answers, and is of its audience. One that was
// cancelled before anybody came to it was nobody's experiment.
func (s sequel) follows(b booking.Booking, merged lodge.Merged) bool {
	began, came := b.Over().After(b.Start), b.CancelledAt.IsZero() || !b.CameAt.IsZero()
	if !began || !came || b.Over().Before(s.opened) || !s.closed.IsZero() && b.Over().After(s.closed) {
		return false
	}
	kind, id, _ := strings.Cut(s.to, ":")
	switch kind {
	case audienceAll:
		return true
	case "group":
		return id == b.Group
	case "experiment":
		return id == b.Experiment
	case "booking":
		return id == b.ID
	case "user":
		return merged.Of(lodge.PersonID(id)) == merged.Of(b.Owner)
	}
	return false
}

// finished reports whether somebody who hears some topics had an experiment that a
// sequel follows, and that is over.
func (g *Gateway) finished(ctx context.Context, tenant lodge.Tenant, topics []string, s sequel) (bool, error) {
	now := g.clock.Now()
	merged, err := g.persons.Merged(ctx, tenant)
	if err != nil {
		return false, err
	}
	for _, topic := range topics {
		id, is := bookingTopic(topic)
		if !is {
			continue
		}
		b, err := g.desk.Get(ctx, tenant, id)
		if lodge.CodeOf(err) == lodge.CodeNotFound {
			continue
		}
		if err != nil {
			return false, err
		}
		if !b.Over().After(now) && s.follows(b, merged) {
			return true, nil
		}
	}
	return false, nil
}

// endings finds whose experiments end, for the sequels that wait for it.
type endings struct {
	*Gateway
	tenant lodge.Tenant
	since  map[string]time.Time // by sequel: endings before that were dealt with
	told   map[string]time.Time // by sequel and booking: when it ended
}

func newEndings(g *Gateway, tenant lodge.Tenant) *endings {
	return &endings{Gateway: g, tenant: tenant, since: map[string]time.Time{}, told: map[string]time.Time{}}
}

// round puts sequels to those whose bookings ended since the last look. A node that
// starts looks back to when each of them opened, as far as messages reach.
func (e *endings) round(ctx context.Context, all []sequel) error {
	now := e.clock.Now()
	from := now
	since := map[string]time.Time{}
	for _, one := range all {
		at, known := e.since[one.id]
		if !known {
			at = one.opened
		}
		if oldest := now.Add(-e.cfg.MessagePeriod); at.Before(oldest) {
			at = oldest
		}
		since[one.id] = at
		if at.Before(from) {
			from = at
		}
	}
	over, err := e.over(ctx, from, now)
	if err != nil {
		return err
	}
	merged, err := e.persons.Merged(ctx, e.tenant)
	if err != nil {
		return err
	}
	for _, b := range over {
		for _, one := range all {
			if key := one.id + " " + b.ID; !b.Over().Before(since[one.id]) && one.follows(b, merged) && e.told[key].IsZero() {
				if err := one.tell(ctx, "booking:"+b.ID); err != nil {
					return err
				}
				e.told[key] = b.Over()
			}
		}
	}
	for id := range since {
		since[id] = now.Add(-endingsOverlap)
	}
	e.since = since
	for key, at := range e.told {
		if at.Before(now.Add(-2 * endingsOverlap)) {
			delete(e.told, key)
		}
	}
	return nil
}

// over are the bookings that ended from a time until another.
func (e *endings) over(ctx context.Context, from, until time.Time) ([]booking.Booking, error) {
	cat, err := e.desk.Catalogue(ctx, e.tenant)
	if err != nil {
		return nil, err
	}
	var all []booking.Booking
	seen := map[string]bool{}
	for _, experiment := range sortedKeys(cat.Experiments) {
		// The desk answers with so many at a time, by start.
		for at := from; ; {
			found, err := e.desk.ListByExperiment(ctx, e.tenant, experiment, at, until.Add(time.Nanosecond))
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				break
			}
			for _, b := range found {
				if !seen[b.ID] && !b.Over().After(until) {
					seen[b.ID] = true
					all = append(all, b)
				}
			}
			last := found[len(found)-1].Start
			if !last.After(at) {
				break
			}
			at = last
		}
	}
	return all, nil
}
