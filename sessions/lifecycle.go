package sessions

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// changeTries bounds how often a change that others keep overtaking is tried.
	changeTries = 32
	// changeWidth is how many sessions are changed at once, so that a store that
	// groups its commits can.
	changeWidth = 16
	// journalMargin is how much longer than the session a revocation is kept: an
	// extension may move the end while the revocation is under way.
	journalMargin = 24 * time.Hour
)

// Extend moves the end of a booking's experiment and booking sessions to expires
// and of their right to messages to messagesUntil. It never moves an end
// backwards, leaves revoked sessions alone, and may be repeated in any order.
func (m *Manager) Extend(ctx context.Context, tenant lodge.Tenant, booking string, expires, messagesUntil time.Time) error {
	list, err := m.ofBooking(ctx, tenant, booking)
	if err != nil {
		return err
	}
	expires, messagesUntil = micro(expires), micro(messagesUntil)
	return m.changeAll(ctx, list, func(s *Session) bool {
		if !s.RevokedAt.IsZero() || s.Kind != Experiment && s.Kind != Booking {
			return false
		}
		until := expires
		if s.ExpiresAt.Equal(s.MessagesUntil) && s.Kind == Booking {
			until = later(expires, messagesUntil) // made to last as long as its messages: so it stays
		}
		was := *s
		s.ExpiresAt = later(s.ExpiresAt, until)
		s.MessagesUntil = later(s.MessagesUntil, messagesUntil)
		return !s.ExpiresAt.Equal(was.ExpiresAt) || !s.MessagesUntil.Equal(was.MessagesUntil)
	})
}

// Cancel revokes a booking's experiment sessions: no relay topic is open to them
// from now on. Their right to messages lasts until messagesUntil, or as long as
// before when that is zero. Booking sessions live on. Cancel may be repeated.
func (m *Manager) Cancel(ctx context.Context, tenant lodge.Tenant, booking, reason string, messagesUntil time.Time) error {
	list, err := m.ofBooking(ctx, tenant, booking)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(s Session) bool { return s.Kind != Experiment || !s.RevokedAt.IsZero() })
	return m.revoke(ctx, list, reason, func(s *Session) time.Time {
		if messagesUntil.IsZero() {
			return s.MessagesUntil
		}
		return micro(messagesUntil)
	})
}

// Revoke ends a session and its right to messages now. Revoking one that is
// revoked already takes what was left to it. The error is CodeNotFound when
// there is none.
func (m *Manager) Revoke(ctx context.Context, tenant lodge.Tenant, id ID, reason string) error {
	s, err := m.Get(ctx, tenant, id)
	if err != nil {
		return err
	}
	return m.end(ctx, []Session{s}, reason)
}

// RevokePerson ends every session of a person but those excepted, and returns
// how many. A host session is never among them.
func (m *Manager) RevokePerson(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, reason string, except ...ID) (int, error) {
	if person == "" {
		return 0, errors.New("sessions: RevokePerson needs a person")
	}
	return m.endAll(ctx, tenant, Filter{Person: person}, reason, except)
}

// RevokeAll ends every session of a tenant, automation's included, but those
// excepted, and returns how many. A host session is never among them. What is
// made while it works is not covered.
func (m *Manager) RevokeAll(ctx context.Context, tenant lodge.Tenant, reason string, except ...ID) (int, error) {
	return m.endAll(ctx, tenant, Filter{}, reason, except)
}

// RevokeKind ends every session of a kind but Host, and returns how many.
func (m *Manager) RevokeKind(ctx context.Context, tenant lodge.Tenant, kind Kind, reason string) (int, error) {
	if kind == "" {
		return 0, errors.New("sessions: RevokeKind needs a kind")
	}
	return m.endAll(ctx, tenant, Filter{Kind: kind}, reason, nil)
}

func (m *Manager) endAll(ctx context.Context, tenant lodge.Tenant, f Filter, reason string, except []ID) (int, error) {
	list, err := m.List(ctx, tenant, f)
	if err != nil {
		return 0, err
	}
	now := m.clock.Now()
	list = slices.DeleteFunc(list, func(s Session) bool {
		return s.Kind == Host || slices.Contains(except, s.ID) || s.State(now) == Revoked && !s.Messages(now)
	})
	return len(list), m.end(ctx, list, reason)
}

// Refresh writes a person's current groups and bindings into their login
// sessions that have not ended.
func (m *Manager) Refresh(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, groups []string, bindings []lodge.Binding) error {
	if person == "" {
		return errors.New("sessions: Refresh needs a person")
	}
	list, err := m.List(ctx, tenant, Filter{Person: person, Kind: Login})
	if err != nil {
		return err
	}
	return m.changeAll(ctx, list, func(s *Session) bool {
		if s.State(m.clock.Now()) != Active || slices.Equal(s.Groups, groups) && slices.Equal(s.Bindings, bindings) {
			return false
		}
		s.Groups, s.Bindings = slices.Clone(groups), slices.Clone(bindings)
		return true
	})
}

// Touch notes that a session was active just now, which also ends its being
// idle. It writes at most once a minute (Options.TouchEvery), however many
// requests and nodes call it.
func (m *Manager) Touch(ctx context.Context, s Session) error {
	_, err := m.touch(ctx, s)
	return err
}

// TouchDue reports whether Touch would write anything.
func (m *Manager) TouchDue(s *Session) bool {
	now := m.clock.Now()
	return s.State(now) == Active && now.Sub(s.SeenAt) >= m.opts.TouchEvery
}

func (m *Manager) touch(ctx context.Context, s Session) (Session, error) {
	return m.change(ctx, s, func(s *Session) bool {
		now := micro(m.clock.Now())
		if !m.TouchDue(s) {
			return false
		}
		s.SeenAt = now
		return true
	})
}

// ofBooking returns the sessions of a booking.
func (m *Manager) ofBooking(ctx context.Context, tenant lodge.Tenant, booking string) ([]Session, error) {
	if booking == "" {
		return nil, errors.New("sessions: a booking's id is needed")
	}
	return m.List(ctx, tenant, Filter{Booking: booking})
}

// end revokes sessions with all their rights.
func (m *Manager) end(ctx context.Context, list []Session, reason string) error {
	now := micro(m.clock.Now())
	return m.revoke(ctx, list, reason, func(*Session) time.Time { return now })
}

// revoke makes the revocation of sessions durable, then brings it to the store.
// When the store fails after the journal has it, Run goes on trying, and so does
// every later start.
func (m *Manager) revoke(ctx context.Context, list []Session, reason string, messages func(*Session) time.Time) error {
	if len(list) == 0 {
		return nil
	}
	now := micro(m.clock.Now())
	revs := make([]Revocation, len(list))
	by := make(map[key]Revocation, len(list))
	for i := range list {
		s := &list[i]
		r := Revocation{Tenant: s.Tenant, ID: s.ID, At: now, Reason: reason, MessagesUntil: messages(s), End: s.ExpiresAt}
		r.End = later(r.End, r.MessagesUntil).Add(journalMargin)
		revs[i], by[keyOf(s)] = r, r
	}
	if err := m.journal.Record(ctx, revs...); err != nil {
		return unavailable(err)
	}
	m.owe(revs)
	return m.changeAll(ctx, list, func(s *Session) bool { return by[keyOf(s)].Apply(s) })
}

// changeAll changes sessions side by side and returns what went wrong, joined.
// One that is gone has nothing left to change.
func (m *Manager) changeAll(ctx context.Context, list []Session, fn func(*Session) bool) error {
	var wg sync.WaitGroup
	errs := make([]error, len(list))
	slots := make(chan struct{}, changeWidth)
	for i := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if _, err := m.change(ctx, list[i], fn); err != nil && !errors.Is(err, ErrUnknown) {
				errs[i] = err
			}
		})
	}
	wg.Wait()
	return unavailable(errors.Join(errs...))
}

// change applies fn to a session and stores it, reading it again when somebody
// else was faster, until fn says that nothing is to be changed or the change is
// stored. fn is called on a copy each time and must not keep it. It returns the
// session as it then is.
func (m *Manager) change(ctx context.Context, s Session, fn func(*Session) bool) (Session, error) {
	for range changeTries {
		next := s
		if !fn(&next) {
			return s, nil
		}
		err := m.store.Update(ctx, next)
		switch {
		case err == nil:
			next.Version++
			var change Change
			if s.RevokedAt.IsZero() && !next.RevokedAt.IsZero() {
				change = Ended
			}
			m.changed(ctx, &next, change)
			return next, nil
		case !errors.Is(err, ErrStale) && !errors.Is(err, ErrRevoked):
			if errors.Is(err, ErrUnknown) {
				return s, refusal(ErrUnknown)
			}
			return s, unavailable(err)
		}
		if s, err = m.read(ctx, s.Tenant, s.ID); err != nil {
			return s, err
		}
	}
	return s, unavailable(ErrStale)
}

// changed tells this node's watches and the other nodes that a session changed.
func (m *Manager) changed(ctx context.Context, s *Session, change Change) {
	k := keyOf(s)
	m.recent.drop(k)
	if m.live.has(k) {
		m.dirty.add(k)
	}
	m.hint(ctx, s, change)
}

// hint publishes what became of a session.
func (m *Manager) hint(ctx context.Context, s *Session, change Change) {
	sig := Signal{Tenant: s.Tenant, IDs: []ID{s.ID}}
	if s.Person != "" {
		sig.Change, sig.Person = change, s.Person
	}
	m.publish(ctx, sig)
}

// publish hints. What it is about is stored, and a lost hint is made up for by a
// poll: a caller that gives up, or a failure here, must not make it look undone.
func (m *Manager) publish(ctx context.Context, sig Signal) {
	if err := m.signals.Publish(context.WithoutCancel(ctx), sig); err != nil {
		m.opts.Logger.WarnContext(ctx, "sessions: hint not published; the polls will do", "tenant", sig.Tenant, "sessions", sig.IDs, "error", err)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
