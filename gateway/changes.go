package gateway

import (
	"sync"

	"github.com/lodge-gateway/lodge"
)

// changes tells those who hold a live connection that what it depends on may
// have changed: a person's bookings, an experiment's state. It carries no
// content; whoever is told reads again.
type changes struct {
	mu   sync.Mutex
	fns  map[changeKey]map[int]func() // guarded by mu
	next int                          // guarded by mu
}

type changeKey struct {
	tenant lodge.Tenant
	what   string // "person:P" or "experiment:X"
}

func newChanges() *changes { return &changes{fns: map[changeKey]map[int]func(){}} }

// watch calls fn, which must not block, after each change until stop.
func (c *changes) watch(tenant lodge.Tenant, what string, fn func()) (stop func()) {
	key := changeKey{tenant, what}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	n := c.next
	if c.fns[key] == nil {
		c.fns[key] = map[int]func(){}
	}
	c.fns[key][n] = fn
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.fns[key], n)
		if len(c.fns[key]) == 0 {
			delete(c.fns, key)
		}
	}
}

// tell wakes whoever watches what.
func (c *changes) tell(tenant lodge.Tenant, what string) {
	c.mu.Lock()
	fns := make([]func(), 0, len(c.fns[changeKey{tenant, what}]))
	for _, fn := range c.fns[changeKey{tenant, what}] {
		fns = append(fns, fn)
	}
	c.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
}
