package gateway

import (
	"context"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
)

// surveyor opens and closes surveys whose time has come, tells their audiences, and
// puts those that go with each person's experiment to whoever's has ended.
type surveyor struct{ *Gateway }

// Run does what is due until ctx ends.
func (g surveyor) Run(ctx context.Context) error {
	return dues{g.Gateway, "surveys", g.surveys.Changed, g.round}.Run(ctx)
}

// round does what is due and returns what is not yet.
func (g surveyor) round(ctx context.Context, tenant lodge.Tenant) (ahead, error) {
	due, err := g.surveys.Due(ctx, tenant)
	if err != nil {
		return ahead{}, err
	}
	for _, draft := range due.Open {
		if err := g.openPlanned(ctx, tenant, draft); err != nil {
			return ahead{}, err
		}
	}
	for _, id := range due.Close {
		if _, err := g.surveys.Close(ctx, tenant, id, lodge.Principal{}); err != nil && lodge.CodeOf(err) != lodge.CodeNotFound {
			return ahead{}, err
		}
	}
	for _, one := range due.Tell {
		if err := g.tellSurvey(ctx, tenant, one); err != nil {
			return ahead{}, err
		}
	}
	if len(due.Open)+len(due.Close)+len(due.Tell) > 0 {
		if due, err = g.surveys.Due(ctx, tenant); err != nil {
			return ahead{}, err
		}
	}
	left := ahead{next: due.Next}
	for _, one := range due.After {
		left.sequels = append(left.sequels, g.surveySequel(tenant, one))
	}
	return left, nil
}

// surveySequel is a survey that goes with the end of each person's experiment.
func (g *Gateway) surveySequel(tenant lodge.Tenant, one survey.Survey) sequel {
	return sequel{id: one.ID, to: one.To, opened: one.OpenedAt, closed: one.ClosedAt, tell: func(ctx context.Context, topic string) error {
		return g.publish(ctx, tenant, topic, messaging.TypeSurvey, surveyMessage(one.ID, survey.Opened),
			SurveyChanged{Survey: one.ID, Title: one.Title, Change: survey.Opened})
	}}
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
