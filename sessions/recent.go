package sessions

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
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
	sum := sha256.Sum256([]byte(secret))
	var s *Session
	var err error
	if m.opts.Keep == 0 {
		s, err = m.find(ctx, tenant, idOfSum(sum))
	} else {
		s, err = m.findRecent(ctx, recentKey{tenant, sum})
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
func (m *Manager) findRecent(ctx context.Context, k recentKey) (*Session, error) {
	s, turn := m.recent.get(k, m.opts.Keep)
	if s != nil {
		return s, nil
	}
	asked := time.Now() // what is answered was true then, at least
	s, err := m.find(ctx, k.tenant, idOfSum(k.sum))
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
func (m *Manager) find(ctx context.Context, tenant lodge.Tenant, id ID) (*Session, error) {
	finder, ok := m.store.(Finder)
	if !ok {
		found, err := m.store.Get(ctx, tenant, []ID{id})
		if err != nil {
			return nil, unavailable(err)
		}
		s, there := found[id]
		if !there {
			return nil, refusal(ErrUnknown)
		}
		return &s, nil
	}
	s, err := finder.Find(ctx, tenant, id)
	switch {
	case err != nil:
		return nil, unavailable(err)
	case s == nil:
		return nil, refusal(ErrUnknown)
	}
	return s, nil
}

// A recentKey names a session by the bytes that its ID writes in base64: those who
// look it up have just computed them.
type recentKey struct {
	tenant lodge.Tenant
	sum    [sha256.Size]byte
}

// recentTable keeps the sessions that were read a moment ago. A hash's first byte
// is as good as any for choosing a shard.
type recentTable struct{ shards [recentShards]recentShard }

type recentShard struct {
	mu      sync.RWMutex
	turn    uint64                    // guarded by mu: grows with each drop
	entries map[recentKey]recentEntry // guarded by mu
}

type recentEntry struct {
	session *Session  // never changed
	asked   time.Time // when the read began, on the monotonic clock
}

func (t *recentTable) shard(k recentKey) *recentShard { return &t.shards[k.sum[0]%recentShards] }

// get returns a session that was read less than keep ago. If there is none, turn
// is what put wants with the session that is read instead.
func (t *recentTable) get(k recentKey, keep time.Duration) (s *Session, turn uint64) {
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
func (t *recentTable) put(k recentKey, s *Session, asked time.Time, turn uint64) {
	sh := t.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.turn != turn {
		return
	}
	if sh.entries == nil || len(sh.entries) >= recentMost {
		sh.entries = map[recentKey]recentEntry{}
	}
	sh.entries[k] = recentEntry{s, asked}
}

// drop forgets a session, and whatever is being read of its shard.
func (t *recentTable) drop(dropped key) {
	k := recentKey{tenant: dropped.tenant}
	if !dropped.id.Valid() {
		return // a hint may hold anything
	}
	_, _ = base64.RawURLEncoding.Decode(k.sum[:], []byte(dropped.id)) // it is valid
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
