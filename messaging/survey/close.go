package survey

import (
	"context"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Close ends a survey: it takes no more answers, and what its ballots were signed
// with is destroyed. It may be repeated; the first time counts. One that was to
// close by itself before was closed then. What is cut off half way is due (Due).
func (d *Desk) Close(ctx context.Context, tenant lodge.Tenant, id string, by lodge.Principal) (Survey, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return Survey{}, err
	}
	if err := d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if s := x.Surveys[id]; s == nil || !s.open() || s.Ending {
			return nil, nil
		}
		return entry{Kind: kindEnding, Survey: id}.messages()
	}); err != nil {
		return Survey{}, err
	}
	e := entry{Kind: kindClosed, Survey: id, At: d.clock.Now().UTC(), By: by.Person}
	var closed Survey
	err = d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		err := p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			switch {
			case s.ID == "":
				return nil, errUnknown
			case !s.open():
				return nil, nil
			case !s.takes(e.At):
				e.At = s.Closes
			}
			return e.messages()
		})
		if err != nil {
			return err
		}
		return p.View(ctx, func(s *state) { closed = s.as(merged).view() })
	})
	if err != nil {
		return Survey{}, err
	}
	if closed.Unlinkable() {
		if closed.Answered, err = d.seal(ctx, tenant, id); err != nil {
			return Survey{}, err
		}
	}
	e.At, e.Answered = closed.ClosedAt, closed.Answered
	return closed, d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if s := x.Surveys[id]; s == nil || !s.open() {
			return nil, nil
		}
		return e.messages()
	})
}

// ReleaseResults lets those who were asked see the results, of words those that
// were let through. It may be repeated; the first time counts.
func (d *Desk) ReleaseResults(ctx context.Context, tenant lodge.Tenant, id string, by lodge.Principal) (Survey, error) {
	e := entry{Kind: kindReleased, Survey: id, At: d.clock.Now().UTC(), By: by.Person}
	err := d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		return p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			switch {
			case s.ID == "":
				return nil, errUnknown
			case !s.ReleasedAt.IsZero():
				return nil, nil
			}
			return e.messages()
		})
	})
	if err != nil {
		return Survey{}, err
	}
	released, err := d.Get(ctx, tenant, id)
	if err != nil {
		return Survey{}, err
	}
	e.At = released.ReleasedAt
	return released, d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if s := x.Surveys[id]; s == nil || !s.ReleasedAt.IsZero() {
			return nil, nil
		}
		return e.messages()
	})
}

// Show lets words be shown to those asked, or no more. When their author changes
// them they are to be looked at again.
func (d *Desk) Show(ctx context.Context, tenant lodge.Tenant, id, text string, show bool) error {
	t, err := d.Tally(ctx, tenant, id)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(t.Questions, func(r Result) bool {
		return slices.ContainsFunc(r.Texts, func(w Words) bool { return w.ID == text })
	}) {
		return lodge.E(lodge.CodeNotFound, "There are no such words in the results; they may have been changed.")
	}
	return d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
		return p.Decide(ctx, func(s *state) ([]messaging.Message, error) {
			if s.Shown[text] == show {
				return nil, nil
			}
			return entry{Kind: kindShow, Survey: id, Text: text, Show: show}.messages()
		})
	})
}
