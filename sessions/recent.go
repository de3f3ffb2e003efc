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

// CheckRecent is Check for what is asked again with each request. With
// Options.Keep it may use what a check has read before, for at most so long and
// until a hint says that the session has changed; without, it reads the store. What
// opens a connection that lasts must Check.
//
// What is kept is a session as it is stored, under its tenant and id. Its state is
// computed anew each time, and what it may be used for is decided by the caller:
// no answer to one question serves for another. The session is shared with other
// callers and must not be changed.
func (m *Manager) CheckRecent(ctx context.Context, tenant lodge.Tenant, code string) (*Session, error) {
	kind, secret, ok := parseCode(code)
	if !ok {
		return nil, refusal(ErrUnknown)
	}
	k := key{tenant, idOf(secret)}
	var s *Session
	var err error
	if m.opts.Keep == 0 {
		s, err = m.find(ctx, k)
	} else {
		s, err = m.findRecent(ctx, k)
	}
	switch {
	case err != nil:
		return nil, err
	case s.Kind != kind:
		return nil, refusal(ErrUnknown)
	}
	return s, refusalIn(s.State(m.clock.Now()))
}

// findRecent is find, unless that was done less than Options.Keep ago.
func (m *Manager) findRecent(ctx context.Context, k key) (*Session, error) {
	s, turn := m.recent.get(k, m.opts.Keep)
	if s != nil {
		return s, nil
	}
	asked := time.Now() // what is answered was true then, at least
	s, err := m.find(ctx, k)
	if err == nil {
		m.recent.put(k, s, asked, turn)
	}
	return s, err
}

// A Finder is a Store with a shorter way to one session than Get and the map that
// it answers with: most of what is read is read singly, before a request.
type Finder interface {
	// Find reads one session; nil when there is none. Otherwise it is as Get.
	Find(ctx context.Context, tenant lodge.Tenant, id ID) (*Session, error)
}

// find returns one session of the store, by the shortest way there is.
func (m *Manager) find(ctx context.Context, k key) (*Session, error) {
	finder, ok := m.store.(Finder)
	if !ok {
		s, err := m.read(ctx, k.tenant, k.id)
		return &s, err
	}
	s, err := finder.Find(ctx, k.tenant, k.id)
	switch {
	case err != nil:
		return nil, unavailable(err)
	case s == nil:
		return nil, refusal(ErrUnknown)
	}
	return s, nil
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
	session *Session  // never changed
	asked   time.Time // when the read began, on the monotonic clock
}

func (t *recentTable) init() { t.seed = maphash.MakeSeed() }

func (t *recentTable) shard(k key) *recentShard {
	return &t.shards[maphash.Comparable(t.seed, k)%recentShards]
}

// get returns a session that was read less than keep ago. If there is none, turn
// is what put wants with the session that is read instead.
func (t *recentTable) get(k key, keep time.Duration) (s *Session, turn uint64) {
	sh := t.shard(k)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if e, there := sh.entries[k]; there && time.Since(e.asked) < keep {
		s = e.session
	}
	return s, sh.turn
}

// put keeps a session, unless something was dropped since turn was returned: the
// read may be older than the change.
func (t *recentTable) put(k key, s *Session, asked time.Time, turn uint64) {
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
