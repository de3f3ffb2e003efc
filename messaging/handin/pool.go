package handin

import (
	"container/list"
	"sync"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// keepIdle is how many hand-ins stay folded while nobody uses them.
const keepIdle = 64

// A pool shares the projections of hand-ins among callers and keeps those used
// last, so that however many hand-ins there are, few are in memory.
type pool struct {
	topics *messaging.Topics

	mu    sync.Mutex
	known map[poolKey]*pooled // guarded by mu
	idle  *list.List          // of those known that nobody uses, the last used in front; guarded by mu
}

type poolKey struct {
	tenant lodge.Tenant
	id     string
}

// pooled is a projection in the pool; all but p is guarded by pool.mu.
type pooled struct {
	key  poolKey
	p    *messaging.Projection[state]
	refs int
	idle *list.Element // in pool.idle; nil while in use
}

func newPool(topics *messaging.Topics) *pool {
	return &pool{topics: topics, known: map[poolKey]*pooled{}, idle: list.New()}
}

// has reports whether a hand-in is folded already.
func (p *pool) has(tenant lodge.Tenant, id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[poolKey{tenant, id}] != nil
}

// with calls fn with a hand-in's projection.
func (p *pool) with(tenant lodge.Tenant, id string, fn func(*messaging.Projection[state]) error) error {
	s := p.take(poolKey{tenant, id})
	defer p.put(s)
	return fn(s.p)
}

func (p *pool) take(key poolKey) *pooled {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.known[key]
	if s == nil {
		s = &pooled{key: key, p: messaging.Project(p.topics, key.tenant, topicOf(key.id), fold, messaging.JSON[state]("handin/1"))}
		p.known[key] = s
	}
	if s.idle != nil {
		p.idle.Remove(s.idle)
		s.idle = nil
	}
	s.refs++
	return s
}

func (p *pool) put(s *pooled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.refs--; s.refs == 0 {
		s.idle = p.idle.PushFront(s)
	}
	p.shrink(keepIdle)
}

// shrink closes idle projections, except for the last used.
func (p *pool) shrink(keep int) {
	for p.idle.Len() > keep {
		s := p.idle.Remove(p.idle.Back()).(*pooled)
		delete(p.known, s.key)
		s.p.Close()
	}
}

// release closes all that nobody uses.
func (p *pool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shrink(0)
}
