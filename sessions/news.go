package sessions

import (
	"context"
	"slices"
	"sync"

	"github.com/lodge-gateway/lodge"
)

// A Change is what becomes of a person's sessions and is news to them. That one
// runs out in its time is none.
type Change string

// The changes.
const (
	Began    Change = "began"
	Ended    Change = "ended"    // it was revoked
	Entitled Change = "entitled" // what all of them may hear has changed; it names none
)

// Announce tells every node that what a person's sessions may hear has changed.
func (m *Manager) Announce(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) {
	m.publish(ctx, Signal{Tenant: tenant, Change: Entitled, Person: person})
}

// News calls fn, which must not block, for each signal that tells of a Change, on
// whatever node it came about, until stop. Run must be running. Like every signal
// it may be lost, and is not made up for: it is for what can be looked up.
func (m *Manager) News(fn func(Signal)) (stop func()) {
	return m.news.add(&reader{fn})
}

// A newsDesk is who wants to know of news.
type newsDesk struct {
	mu      sync.Mutex
	readers []*reader // guarded by mu
}

type reader struct{ fn func(Signal) }

func (d *newsDesk) add(r *reader) (remove func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readers = append(d.readers, r)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.readers = slices.DeleteFunc(d.readers, func(other *reader) bool { return other == r })
	}
}

func (d *newsDesk) tell(sig Signal) {
	d.mu.Lock()
	readers := slices.Clone(d.readers)
	d.mu.Unlock()
	for _, r := range readers {
		r.fn(sig)
	}
}
