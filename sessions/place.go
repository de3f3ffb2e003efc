package sessions

import (
	"context"
	"slices"

	"github.com/lodge-gateway/lodge"
)

// Place writes into a booking's sessions which experiment they are for, and into
// those of kind Experiment which scopes each has there: their codes stay good,
// and open what is written from now on. Revoked sessions are left alone. It may be
// repeated.
func (m *Manager) Place(ctx context.Context, tenant lodge.Tenant, booking, experiment string, scopes func(Session) []string) error {
	list, err := m.ofBooking(ctx, tenant, booking)
	if err != nil {
		return err
	}
	return m.changeAll(ctx, list, func(s *Session) bool {
		if !s.RevokedAt.IsZero() || s.Kind != Experiment && s.Kind != Booking {
			return false
		}
		if s.Kind == Booking {
			changed := s.Experiment != experiment
			s.Experiment = experiment
			return changed
		}
		return place(s, experiment, scopes(*s))
	})
}

// PlaceHosts writes into the sessions of an experiment's hosts which scopes they
// have, as Place does.
func (m *Manager) PlaceHosts(ctx context.Context, tenant lodge.Tenant, experiment string, scopes []string) error {
	list, err := m.List(ctx, tenant, Filter{Kind: Host})
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(s Session) bool { return s.Experiment != experiment })
	return m.changeAll(ctx, list, func(s *Session) bool {
		return s.RevokedAt.IsZero() && place(s, experiment, scopes)
	})
}

func place(s *Session, experiment string, scopes []string) bool {
	if s.Experiment == experiment && slices.Equal(s.Scopes, scopes) {
		return false
	}
	s.Experiment, s.Scopes = experiment, slices.Clone(scopes)
	return true
}
