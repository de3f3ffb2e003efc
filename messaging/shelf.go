package messaging

import (
	"container/list"
	"sync"

	"github.com/lodge-gateway/lodge"
)

// A Shelf shares projections of one kind among callers. Those that nobody uses it
// keeps as long as there is room, the last used first, so that however many topics
// there are, few are in memory. It is safe for concurrent use.
type Shelf[S any] struct {
	topics *Topics        // static
	fold   func(*S, Item) // static
	codec  Codec[S]       // static
	room   int            // static

	mu    sync.Mutex
	known map[shelfKey]*shelved[S] // guarded by mu
	idle  *list.List               // of those known that nobody uses, the last used in front; guarded by mu
}

type shelfKey struct {
	tenant lodge.Tenant
	topic  string
}

// shelved is a projection on a shelf; all but p is guarded by Shelf.mu.
type shelved[S any] struct {
	key  shelfKey
	p    *Projection[S]
	refs int
	idle *list.Element // in Shelf.idle; nil while in use
}

// NewShelf returns a shelf of projections made with fold and codec, as Project makes
// them. It keeps at most room of those that nobody uses.
func NewShelf[S any](topics *Topics, fold func(*S, Item), codec Codec[S], room int) *Shelf[S] {
	return &Shelf[S]{topics: topics, fold: fold, codec: codec, room: room, known: map[shelfKey]*shelved[S]{}, idle: list.New()}
}

// Has reports whether a topic is on the shelf.
func (s *Shelf[S]) Has(tenant lodge.Tenant, topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[shelfKey{tenant, topic}] != nil
}

// With calls fn with a topic's projection, which fn must not keep.
func (s *Shelf[S]) With(tenant lodge.Tenant, topic string, fn func(*Projection[S]) error) error {
	one := s.take(tenant, topic)
	defer s.put(one)
	return fn(one.p)
}

// Keep returns a topic's projection, which stays on the shelf until Release.
func (s *Shelf[S]) Keep(tenant lodge.Tenant, topic string) *Projection[S] {
	return s.take(tenant, topic).p
}

func (s *Shelf[S]) take(tenant lodge.Tenant, topic string) *shelved[S] {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := shelfKey{tenant, topic}
	one := s.known[key]
	if one == nil {
		one = &shelved[S]{key: key, p: Project(s.topics, tenant, topic, s.fold, s.codec)}
		s.known[key] = one
	}
	if one.idle != nil {
		s.idle.Remove(one.idle)
		one.idle = nil
	}
	one.refs++
	return one
}

func (s *Shelf[S]) put(one *shelved[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.refs--; one.refs == 0 {
		one.idle = s.idle.PushFront(one)
	}
	for s.idle.Len() > s.room {
		last := s.idle.Remove(s.idle.Back()).(*shelved[S])
		delete(s.known, last.key)
		last.p.Close()
	}
}

// Release closes all projections. Nobody uses any by then, or ever again.
func (s *Shelf[S]) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, one := range s.known {
		delete(s.known, key)
		one.p.Close()
	}
	s.idle.Init()
}
