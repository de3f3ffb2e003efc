package sessions

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// leaseBatch is how many sessions one read of the lease poll covers.
const leaseBatch = 500

// Watch registers an interest in a session: from now on fn is called after each
// change of it, by a hint at once or by the lease poll soon after, with the
// session as it is stored. Activity alone is no change. fn is called with
// an error, once, when the session is not in the store (CodeNotFound) or when
// the store has not answered for the lease grace (CodeUnavailable); should
// things mend, it is called with the session again.
//
// Register, then read: Watch itself reads nothing, so the caller reads the
// session next, and no change can fall between. The first poll may call fn for a
// change that the caller has seen already.
//
// Calls for one watch are never concurrent, but those for different watches of a
// session are. fn must not block. A call under way when stop is called is not
// waited for.
func (m *Manager) Watch(tenant lodge.Tenant, id ID, fn func(Session, error)) (stop func()) {
	return m.live.add(key{tenant, id}, &watch{fn: fn})
}

// GetWatched is Watch, then Get: it returns the session as it was read after fn was
// registered, and fn is called for changes from that on, not for those before. When it
// fails, as Get does, nothing stays registered and stop is nil.
func (m *Manager) GetWatched(ctx context.Context, tenant lodge.Tenant, id ID, fn func(Session, error)) (s Session, stop func(), err error) {
	w := &watch{fn: fn}
	stop = m.live.add(key{tenant, id}, w)
	if s, err = m.Get(ctx, tenant, id); err != nil {
		stop()
		return Session{}, nil, err
	}
	w.read(m.live.digest(s))
	return s, stop, nil
}

// hinted notes a signal. The poll is asked for everything when some were lost.
func (m *Manager) hinted(sig Signal, poll chan<- struct{}) {
	if sig.Tenant == "" {
		m.recent.dropAll()
		select {
		case poll <- struct{}{}:
		default:
		}
		return
	}
	for _, id := range sig.IDs {
		k := key{sig.Tenant, id}
		m.recent.drop(k)
		if m.live.has(k) {
			m.dirty.add(k)
		}
	}
	if sig.Change != "" {
		m.news.tell(sig)
	}
}

// reread reads sessions from the store, batch by batch, and tells their watches.
// What the store does not answer for is left to the next poll.
func (m *Manager) reread(ctx context.Context, all map[lodge.Tenant][]ID) {
	for tenant, ids := range all {
		for batch := range slices.Chunk(ids, leaseBatch) {
			if err := m.rereadBatch(ctx, tenant, batch); err != nil && ctx.Err() == nil {
				m.opts.Logger.WarnContext(ctx, "sessions: watched sessions not read", "tenant", tenant, "sessions", len(batch), "error", err)
			}
		}
	}
}

func (m *Manager) rereadBatch(ctx context.Context, tenant lodge.Tenant, ids []ID) error {
	// One batch at a time: what is told last was read last.
	m.reading.Lock()
	defer m.reading.Unlock()
	// A read that hangs must not keep others from noticing: it counts as failed
	// well before a lease runs out.
	ctx, cancel := context.WithTimeout(ctx, min(m.opts.LeasePoll, m.opts.LeaseGrace/3))
	defer cancel()
	asked := time.Now() // what is answered was true then, at least
	found, err := m.store.Get(ctx, tenant, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		k := key{tenant, id}
		watches := m.live.answered(k, asked)
		s, there := found[id]
		if !there {
			for _, w := range watches {
				w.tellGone(lodge.Wrap(lodge.CodeNotFound, "There is no such session any more.", ErrUnknown))
			}
			continue
		}
		digest := m.live.digest(s)
		for _, w := range watches {
			w.tell(s, digest)
		}
	}
	return nil
}

var errLease = errors.New("sessions: the store has not answered for a whole lease")

// expireLeases tells the watches of sessions that the store has not answered for
// during the lease grace. margin is when it will be asked next: a lease ends
// early rather than late.
func (m *Manager) expireLeases(margin time.Duration) {
	for _, w := range m.live.overdue(time.Now().Add(margin - m.opts.LeaseGrace)) {
		w.tellLost(unavailable(errLease))
	}
}
