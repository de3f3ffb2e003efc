package sessions

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// MaxKeep is the most that Options.Keep can be: how long a revocation may go
	// unnoticed by CheckRecent when every hint of it was lost.
	MaxKeep = 5 * time.Second

	recentShards = 64
	// recentMost is how many sessions a shard keeps; a full one starts anew.
	recentMost = 512
)

// CheckRecent is Check, but may use what a check has read before: for at most
// Options.Keep, and until a hint says that the session has changed. Without Keep
// it is Check. It is for checks that are made again with each request; what opens
// a connection that lasts must Check.
//
// What is kept is a session as it is stored, under its tenant and id. Its state is
// computed anew each time, and what it may be used for is decided by the caller:
// no answer to one question serves for another.
func (m *Manager) CheckRecent(ctx context.Context, tenant lodge.Tenant, code string) (Session, error) {
	if m.opts.Keep == 0 {
		return m.Check(ctx, tenant, code)
	}
	kind, secret, ok := parseCode(code)
	if !ok {
		return Session{}, refusal(ErrUnknown)
	}
	k := key{tenant, idOf(secret)}
	s, turn, ok := m.recent.get(k, m.opts.Keep)
	if !ok {
		asked := time.Now() // what is answered was true then, at least
		var err error
		if s, err = m.read(ctx, tenant, k.id); err != nil {
			return Session{}, err
		}
		m.recent.put(k, s, asked, turn)
	}
	if s.Kind != kind {
		return Session{}, refusal(ErrUnknown)
	}
	return s, refusalIn(s.State(m.clock.Now()))
}

// recentTable keeps the sessions that were read a moment ago.
type recentTable struct {
	seed   maphash.Seed // static
	shards [recentShards]recentShard
}

type recentShard struct {
	mu      sync.RWMutex
	turn    uint64 // guarded by mu: grows with each drop
	entries map[key]recentEntry
}

type recentEntry struct {
	session Session
	asked   time.Time // when the read began, on the monotonic clock
}

func (t *recentTable) init() { t.seed = maphash.MakeSeed() }

func (t *recentTable) shard(k key) *recentShard {
	return &t.shards[maphash.Comparable(t.seed, k)%recentShards]
}

// get returns a session that was read less than keep ago. If there is none, turn
// is what put wants with the session that is read instead.
func (t *recentTable) get(k key, keep time.Duration) (s Session, turn uint64, ok bool) {
	sh := t.shard(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e, there := sh.entries[k]
	if !there || time.Since(e.asked) >= keep {
		return Session{}, sh.turn, false
	}
	return e.session, sh.turn, true
}

// put keeps a session, unless something was dropped since turn was returned: the
// read may be older than the change.
func (t *recentTable) put(k key, s Session, asked time.Time, turn uint64) {
	sh := t.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.turn != turn {
		return
	}
	if sh.entries == nil || len(sh.entries) >= recentMost {
		sh.entries = map[key]recentEntry{}
	}
	sh.entries[k] = recentEntry{s, asked}
}

// drop forgets a session, and whatever is being read of its shard.
func (t *recentTable) drop(k key) {
	sh := t.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.turn++
	delete(sh.entries, k)
}

// dropAll forgets everything: hints may have been lost.
func (t *recentTable) dropAll() {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		sh.turn++
		sh.entries = nil
		sh.mu.Unlock()
	}
}
