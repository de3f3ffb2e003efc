package gateway

import (
	"slices"
	"sync"

	"github.com/lodge-gateway/lodge"
)

// changes tells those who hold a live connection that what it depends on may
// have changed: the bookings behind a session. It carries no content; whoever is
// told reads again.
type changes struct {
	mu       sync.Mutex
	watchers map[changeKey][]*watcher // guarded by mu
}

// A watcher is who is told of one change; most often it is the only one.
type watcher struct{ fn func() }

type changeKey struct {
	tenant lodge.Tenant
	what   string // "session:S"
}

func newChanges() *changes { return &changes{watchers: map[changeKey][]*watcher{}} }

// watch calls fn, which must not block, after each change until stop.
func (c *changes) watch(tenant lodge.Tenant, what string, fn func()) (stop func()) {
	key, w := changeKey{tenant, what}, &watcher{fn}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchers[key] = append(c.watchers[key], w)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		left := slices.DeleteFunc(c.watchers[key], func(other *watcher) bool { return other == w })
		if c.watchers[key] = left; len(left) == 0 {
			delete(c.watchers, key)
		}
	}
}

// tell wakes whoever watches what.
func (c *changes) tell(tenant lodge.Tenant, what string) {
	c.mu.Lock()
	watchers := slices.Clone(c.watchers[changeKey{tenant, what}])
	c.mu.Unlock()
	for _, w := range watchers {
		w.fn()
	}
}
