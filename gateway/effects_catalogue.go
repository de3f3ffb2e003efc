package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/sessions"
)

// personsAtOnce is how many people are read in one call.
const personsAtOnce = 500

// place brings to a booking's codes where it takes place from now on.
func (e effects) place(ctx context.Context, ef booking.Effect) error {
	cat, err := e.g.desk.Catalogue(ctx, ef.Tenant)
	if err != nil {
		return err
	}
	b := ef.Booking
	scopes, err := e.g.controlScopes(ctx, b, streamScopes(cat.Experiments[b.Experiment]))
	if err != nil {
		return err
	}
	return e.g.sessions.Place(ctx, ef.Tenant, b.ID, b.Experiment, scopes)
}

// catalogueChanged brings what a changed catalogue gives to those who are there:
// roles to logins, streams to hosts. Tests of experiments end that their
// technician may not test any more. Only what differs is written.
func (e effects) catalogueChanged(ctx context.Context, ef booking.Effect) error {
	cat, err := e.g.desk.Catalogue(ctx, ef.Tenant)
	if err != nil {
		return err
	}
	if err := errors.Join(e.rolesChanged(ctx, ef.Tenant, cat), e.hostsChanged(ctx, ef.Tenant, cat), e.g.endTests(ctx, ef.Tenant, cat)); err != nil {
		return err
	}
	if ef.Kind == booking.EffectOffered {
		return nil // nobody has looked at an older one
	}
	return e.g.publish(ctx, ef.Tenant, "all", messaging.TypeCatalogue, effectID(ef), struct{}{})
}

// rolesChanged writes the roles that people have now into their logins, and wakes
// every message connection of somebody who has any: what they hear follows.
func (e effects) rolesChanged(ctx context.Context, tenant lodge.Tenant, cat *booking.Catalogue) error {
	logins, err := e.g.sessions.List(ctx, tenant, sessions.Filter{Kind: sessions.Login})
	if err != nil {
		return err
	}
	now := e.g.clock.Now()
	held := map[lodge.PersonID][]sessions.Session{}
	for _, s := range logins {
		if s.State(now) == sessions.Active {
			held[s.Person] = append(held[s.Person], s)
		}
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(held)), personsAtOnce) {
		people, err := e.g.persons.Get(ctx, tenant, ids...)
		if err != nil {
			return err
		}
		for _, person := range people {
			if err := e.personChanged(ctx, cat, person, held[person.ID]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e effects) personChanged(ctx context.Context, cat *booking.Catalogue, person idp.Person, logins []sessions.Session) error {
	bindings, err := e.g.bindingsIn(ctx, cat, person)
	if err != nil {
		return err
	}
	before := logins[0]
	if slices.ContainsFunc(logins, func(s sessions.Session) bool { return !slices.Equal(s.Bindings, bindings) }) {
		if err := e.g.sessions.Refresh(ctx, person.Tenant, person.ID, person.Groups, bindings); err != nil {
			return err
		}
		e.g.recordRoleChange(ctx, person.Tenant, "lodge", person.ID, rights(before), rights(sessions.Session{Groups: person.Groups, Bindings: bindings}))
	}
	if len(bindings) > 0 || len(before.Bindings) > 0 {
		e.g.membershipOf(ctx, person.Tenant, person.ID)
	}
	return nil
}

func (e effects) hostsChanged(ctx context.Context, tenant lodge.Tenant, cat *booking.Catalogue) error {
	hosts, err := e.g.sessions.List(ctx, tenant, sessions.Filter{Kind: sessions.Host})
	if err != nil {
		return err
	}
	var done []string
	for _, s := range hosts {
		experiment, there := cat.Experiments[s.Experiment]
		if !there || slices.Contains(done, s.Experiment) || slices.Equal(s.Scopes, hostScopes(experiment)) {
			continue // what an experiment's hardware holds outlives its entry
		}
		done = append(done, s.Experiment)
		if err := e.g.sessions.PlaceHosts(ctx, tenant, s.Experiment, hostScopes(experiment)); err != nil {
			return err
		}
	}
	return nil
}

// hostScopes are what a host's code opens: all streams of its experiment, both
// ways.
func hostScopes(e booking.Experiment) []string {
	var scopes []string
	for _, stream := range e.Streams {
		scopes = append(scopes, "read:"+stream.Topic, "write:"+stream.Topic)
		scopes = append(scopes, sizeScope(stream)...)
	}
	return scopes
}
