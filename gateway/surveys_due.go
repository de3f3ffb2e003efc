package gateway

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	// surveyPoll is how often it is looked whether a survey is due. That costs a
	// comparison; the list itself is read when it changed.
	surveyPoll = 250 * time.Millisecond
	// endingsPoll is how often it is looked whose experiment ended, while a survey
	// waits for that; endingsOverlap is how far back each look goes, for changes
	// that were written later than they say.
	endingsPoll    = time.Second
	endingsOverlap = time.Minute
)

// surveyor opens and closes surveys whose time has come, tells their audiences, and
// puts those that go with each person's experiment to whoever's has ended. Every
// node does; each step may be repeated, and what is told has one message id, so
// that people hear of it once.
type surveyor struct{ *Gateway }

// Run does what is due until ctx ends.
func (g surveyor) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, tenant := range g.tenants() {
		group.Go(func() error {
			g.follow(ctx, tenant)
			return nil
		})
	}
	return group.Wait()
}

func (g surveyor) follow(ctx context.Context, tenant lodge.Tenant) {
	changed := g.surveys.Changed(tenant)
	tick := time.NewTicker(surveyPoll)
	defer tick.Stop()
	ends := endings{Gateway: g.Gateway, tenant: tenant, since: map[string]time.Time{}, told: map[string]time.Time{}}
	var due survey.Due
	look := true
	for looked := time.Now(); ; {
		if look || !due.Next.IsZero() && !g.clock.Now().Before(due.Next) {
			var err error
			due, err = g.round(ctx, tenant)
			look = err != nil
			g.warn(ctx, tenant, err)
			looked = time.Time{}
		}
		if len(due.After) > 0 && time.Since(looked) >= endingsPoll {
			g.warn(ctx, tenant, ends.round(ctx, due.After))
			looked = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			look = true
		case <-tick.C:
		}
	}
}

func (g surveyor) warn(ctx context.Context, tenant lodge.Tenant, err error) {
	if err != nil && ctx.Err() == nil {
		g.log.WarnContext(ctx, "surveys that are due; trying again", "tenant", tenant, "err", err)
	}
}

// round does what is due and returns what is not yet.
func (g surveyor) round(ctx context.Context, tenant lodge.Tenant) (survey.Due, error) {
	due, err := g.surveys.Due(ctx, tenant)
	if err != nil {
		return due, err
	}
	for _, draft := range due.Open {
		if err := g.openPlanned(ctx, tenant, draft); err != nil {
			return due, err
		}
	}
	for _, id := range due.Close {
		if _, err := g.surveys.Close(ctx, tenant, id, lodge.Principal{}); err != nil && lodge.CodeOf(err) != lodge.CodeNotFound {
			return due, err
		}
	}
	for _, one := range due.Tell {
		if err := g.tellSurvey(ctx, tenant, one); err != nil {
			return due, err
		}
	}
	if len(due.Open)+len(due.Close)+len(due.Tell) > 0 {
		return g.surveys.Due(ctx, tenant)
	}
	return due, nil
}

// openPlanned opens a survey in its author's name, against what they may do and
// whom there is to ask now.
func (g surveyor) openPlanned(ctx context.Context, tenant lodge.Tenant, draft survey.Saved) error {
	s, err := g.senderNow(ctx, sessions.Session{Tenant: tenant, Kind: sessions.Login, Person: draft.By})
	if err == nil {
		_, err = g.openDraft(ctx, s, draft.Draft)
	}
	if err == nil || !decided(err) {
		return err
	}
	g.record(ctx, tenant, actorOf(s), audit.Deny, draft.To, "survey "+draft.ID+", planned: "+reasonOf(err))
	return g.surveys.Unplan(ctx, tenant, draft, reasonOf(err))
}

// endings finds whose experiments end, for the surveys that wait for it.
type endings struct {
	*Gateway
	tenant lodge.Tenant
	since  map[string]time.Time // by survey: endings before that were dealt with
	told   map[string]time.Time // by survey and booking: when it ended
}

// round puts surveys to those whose bookings ended since the last look. A node that
// starts looks back to when each survey opened, as far as messages reach.
func (e *endings) round(ctx context.Context, surveys []survey.Survey) error {
	now := e.clock.Now()
	from := now
	since := map[string]time.Time{}
	for _, one := range surveys {
		at, known := e.since[one.ID]
		if !known {
			at = one.OpenedAt
		}
		if oldest := now.Add(-e.cfg.MessagePeriod); at.Before(oldest) {
			at = oldest
		}
		since[one.ID] = at
		if at.Before(from) {
			from = at
		}
	}
	over, err := e.over(ctx, from, now)
	if err != nil {
		return err
	}
	for _, b := range over {
		for _, one := range surveys {
			if key := one.ID + " " + b.ID; !b.Over().Before(since[one.ID]) && goesWith(one, b) && e.told[key].IsZero() {
				err := e.publish(ctx, e.tenant, "booking:"+b.ID, messaging.TypeSurvey, surveyMessage(one.ID, survey.Opened),
					SurveyChanged{Survey: one.ID, Title: one.Title, Change: survey.Opened})
				if err != nil {
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

// goesWith reports whether a survey is put to a booking's owner when it is over:
// one that began, ended since the survey opened, and is of its audience.
func goesWith(one survey.Survey, b booking.Booking) bool {
	if !b.Over().After(b.Start) || b.Over().Before(one.OpenedAt) || !one.ClosedAt.IsZero() && b.Over().After(one.ClosedAt) {
		return false
	}
	switch one.To {
	case audienceAll, "group:" + b.Group, "experiment:" + b.Experiment, "booking:" + b.ID, "user:" + string(b.Owner):
		return true
	}
	return false
}

// finished reports whether somebody who hears some topics had an experiment that a
// survey goes with, and that is over.
func (g *Gateway) finished(ctx context.Context, tenant lodge.Tenant, topics []string, one survey.Survey) (bool, error) {
	now := g.clock.Now()
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
		if !b.Over().After(now) && goesWith(one, b) {
			return true, nil
		}
	}
	return false, nil
}
