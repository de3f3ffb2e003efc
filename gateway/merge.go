package gateway

import (
	"context"
	"maps"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/sessions"
)

// merges carries out what follows from merges and un-merges outside of the store
// of persons, whose decision stands by then: who has which booking, which
// sessions end, what the others may do. Each step may be repeated, and Run repeats
// those of a node that failed half way.
type merges struct{ *Gateway }

// Run settles what is outstanding until ctx ends.
func (m merges) Run(ctx context.Context) error {
	tick := time.NewTicker(m.cfg.RefreshPoll)
	defer tick.Stop()
	for {
		left, err := m.persons.Unsettled(ctx)
		for _, one := range left {
			if err = m.settle(ctx, one); err != nil {
				break
			}
		}
		if err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "a merge of persons has not taken effect everywhere; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

const (
	reasonMerged   = "Your account was joined with another of yours. Sign in again."
	reasonUnmerged = "Your accounts were taken apart again. Sign in again."
)

// now is settle for a request, which is told when the rest follows later.
func (m merges) now(ctx context.Context, one idp.Merge) error {
	err := m.settle(ctx, one)
	if err == nil {
		return nil
	}
	m.log.WarnContext(ctx, "a merge of persons has not taken effect everywhere; trying again", "err", err)
	return &lodge.Error{
		Code: lodge.CodeUnavailable, Safe: "This is recorded, but has not taken effect everywhere yet; it will be completed shortly.",
		RetryAfter: m.cfg.RefreshPoll, Details: map[string]any{"pending": true}, Err: err,
	}
}

// settle carries out what follows from one merge or un-merge. A caller that gives
// up does not stop it half way.
func (m merges) settle(ctx context.Context, one idp.Merge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWait)
	defer cancel()
	merged, err := m.reassign(ctx, one)
	if err != nil {
		return err
	}
	switch {
	case !one.Undone.IsZero():
		err = m.apart(ctx, one)
	case !one.Claim: // what a guest's reference opened goes on
		_, err = m.sessions.RevokePerson(ctx, one.Tenant, one.From, reasonMerged)
	}
	if err != nil {
		return err
	}
	survivor, err := m.persons.Get(ctx, one.Tenant, merged.Of(one.Into))
	if err != nil {
		return err
	}
	for _, person := range survivor {
		if err := m.rightsChanged(ctx, person); err != nil {
			return err
		}
	}
	return m.persons.Settled(ctx, one)
}

// reassign gives the bookings of everybody concerned to whom they count as. When
// that has changed meanwhile, by a merge that another node carries out, what was
// written may be of before: so it looks again after it has written.
func (m merges) reassign(ctx context.Context, one idp.Merge) (lodge.Merged, error) {
	merged, err := m.persons.Merged(ctx, one.Tenant)
	for err == nil {
		owners := map[lodge.PersonID]lodge.PersonID{}
		for _, end := range []lodge.PersonID{one.From, one.Into} {
			for _, id := range merged.All(end) {
				owners[id] = merged.Of(id)
			}
		}
		if _, err = m.desk.Reassign(ctx, one.Tenant, owners); err != nil {
			break
		}
		before := merged
		if merged, err = m.persons.Merged(ctx, one.Tenant); err == nil && maps.Equal(before, merged) {
			return merged, nil
		}
	}
	return nil, err
}

// settleWait bounds how long a request waits for what follows from a merge.
const settleWait = 10 * time.Second

// apart ends what the survivor of a merge has through the person who was taken
// away again: logins through that person's accounts, and what is open of that
// person's bookings.
func (m merges) apart(ctx context.Context, one idp.Merge) error {
	back, err := m.persons.Get(ctx, one.Tenant, one.From)
	if err != nil {
		return err
	}
	for _, person := range back {
		if err := m.endThrough(ctx, one.Tenant, one.Into, person.Subjects, reasonUnmerged); err != nil {
			return err
		}
	}
	bookings, err := m.desk.ListByPerson(ctx, one.Tenant, one.From, m.clock.Now().Add(-m.cfg.MessagePeriod), time.Time{})
	if err != nil {
		return err
	}
	for _, b := range bookings {
		open, err := m.sessions.List(ctx, one.Tenant, sessions.Filter{Person: one.Into, Booking: b.ID})
		if err != nil {
			return err
		}
		for _, s := range open {
			if s.Kind == sessions.Host || s.State(m.clock.Now()) == sessions.Revoked && !s.Messages(m.clock.Now()) {
				continue
			}
			if err := m.sessions.Revoke(ctx, one.Tenant, s.ID, reasonUnmerged); err != nil {
				return err
			}
		}
	}
	return nil
}
