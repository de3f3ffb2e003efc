package sessions

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A Cap limits how many live sessions of one kind a person has.
type Cap struct {
	Limit  int       // at least 1
	At     time.Time // the time of the decision
	Reason string    // why a session that has to go is revoked
}

// Surplus returns those of a person's sessions of one kind that have to end so
// that one more makes no more than the limit: of the live ones those last seen
// the longest ago; of several, the ones made first. Activity is written at most
// once a minute (Options.TouchEvery), so it is exact to that.
func (c Cap) Surplus(list []Session) []Session {
	live := slices.DeleteFunc(slices.Clone(list), func(s Session) bool {
		state := s.State(c.At)
		return state == Revoked || state == Expired
	})
	slices.SortFunc(live, func(a, b Session) int {
		return cmp.Or(a.SeenAt.Compare(b.SeenAt), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return live[:max(0, len(live)-c.Limit+1)]
}

// Revoke makes a session one that had to go, all its rights included.
func (c Cap) Revoke(s *Session) {
	Revocation{At: micro(c.At), Reason: c.Reason, MessagesUntil: micro(c.At)}.Apply(s)
}

// CapReason is what the holder of a session is told that had to go.
const CapReason = "You signed in on more devices than are allowed at once; this one was unused the longest."

// create stores a new session and tells of it. A login that would be one too many for its person
// (Options.LoginCap) ends the one unused the longest, in the same step.
func (m *Manager) create(ctx context.Context, s Session) error {
	if err := m.insert(ctx, s); err != nil {
		return err
	}
	if s.Person != "" {
		m.hint(ctx, &s, Began) // nobody watches it yet; to its person it is news
	}
	return nil
}

func (m *Manager) insert(ctx context.Context, s Session) error {
	if m.opts.LoginCap <= 0 || s.Kind != Login {
		return m.store.Create(ctx, s)
	}
	ended, err := m.store.CreateCapped(ctx, s, Cap{Limit: m.opts.LoginCap, At: m.clock.Now(), Reason: CapReason})
	if err != nil || len(ended) == 0 {
		return err
	}
	revs := make([]Revocation, len(ended))
	for i, e := range ended {
		revs[i] = Revocation{
			Tenant: e.Tenant, ID: e.ID, At: e.RevokedAt, Reason: e.Reason, MessagesUntil: e.MessagesUntil,
			End: later(e.ExpiresAt, e.MessagesUntil).Add(journalMargin),
		}
	}
	// As with every revocation: durable before it is answered, even should the
	// store come back without it.
	if err := m.journal.Record(ctx, revs...); err != nil {
		return err
	}
	for i := range ended {
		m.changed(ctx, &ended[i], Ended)
	}
	return nil
}
