package messaging

import (
	"crypto/rand"
	"maps"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A presenceBook keeps who is with this node, as its parts tell, and how far the
// other nodes are to be believed.
//
// The nodes of a tenant tell one another in topicPresence who comes and goes,
// several at a time, and with a heartbeat compare what the topic has of them with
// what is so, which makes good whatever was lost.
type presenceBook struct {
	topics *Topics
	node   string        // names this run of this node
	lease  time.Duration // for how long a node is believed after it was heard of
	start  chan struct{} // capacity 1: there is a tenant that nobody runs yet

	mu      sync.Mutex // guards what follows
	closed  bool
	tenants map[lodge.Tenant]*tenantPresence
}

// A tenantPresence is the presence in one tenant.
type tenantPresence struct {
	tenant lodge.Tenant
	book   *Projection[presences]
	wake   chan struct{}                // capacity 1: something is due
	told   map[lodge.PersonID]*Presence // owned by Run; nil: nobody was told anything yet
	silent []string                     // owned by Run; nodes whose lease has run out
	spoke  bool                         // owned by Run; the others may know of somebody here

	// Guarded by presenceBook.mu.
	running bool
	stays   map[stayKey]*experimentStay // in experiments, through this node
	due     map[stayKey]struct{}        // who may have come or left since the last entry
	heard   map[string]hearing          // the other nodes
}

type stayKey struct {
	person lodge.PersonID
	place  string
}

type experimentStay struct {
	name  string
	since time.Time
	count int // of streams
}

// A hearing is when this node, by its own clock, last heard of another: that the
// clocks of nodes differ matters no more than for the first.
type hearing struct {
	seen time.Time // the time that the other's last entry bears
	at   time.Time
}

func newPresenceBook(topics *Topics, opts HubOptions) *presenceBook {
	return &presenceBook{
		topics: topics, node: rand.Text(), lease: opts.HeartbeatEvery * 5 / 2,
		start: make(chan struct{}, 1), tenants: make(map[lodge.Tenant]*tenantPresence),
	}
}

// of returns the presence in a tenant, which is followed from now on.
func (b *presenceBook) of(tenant lodge.Tenant) (*tenantPresence, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, lodge.Wrap(lodge.CodeUnavailable, "the server is restarting; try again in a moment", ErrClosed)
	}
	return b.ofLocked(tenant), nil
}

func (b *presenceBook) ofLocked(tenant lodge.Tenant) *tenantPresence {
	tp, ok := b.tenants[tenant]
	if !ok {
		tp = &tenantPresence{
			tenant: tenant, wake: make(chan struct{}, 1),
			book:  Project(b.topics, tenant, topicPresence, foldPresence, JSON[presences]("presence/1")),
			stays: make(map[stayKey]*experimentStay), due: make(map[stayKey]struct{}), heard: make(map[string]hearing),
		}
		b.tenants[tenant] = tp
		poke(b.start)
	}
	return tp
}

func poke(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default: // it has been told
	}
}

// note has it looked whether somebody came to or left a place.
func (b *presenceBook) note(tenant lodge.Tenant, key stayKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.ofLocked(tenant).noteLocked(key)
	}
}

func (tp *tenantPresence) noteLocked(key stayKey) {
	tp.due[key] = struct{}{}
	poke(tp.wake)
}

func (b *presenceBook) enter(tenant lodge.Tenant, key stayKey, name string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	tp := b.ofLocked(tenant)
	s := tp.stays[key]
	if s == nil {
		s = &experimentStay{name: name, since: at}
		tp.stays[key] = s
		tp.noteLocked(key)
	}
	s.count++
}

func (b *presenceBook) leave(tenant lodge.Tenant, key stayKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tp := b.tenants[tenant]
	if tp == nil || tp.stays[key] == nil {
		return
	}
	if tp.stays[key].count--; tp.stays[key].count == 0 {
		delete(tp.stays, key)
		tp.noteLocked(key)
	}
}

// hear notes which nodes have spoken, and returns of each when it was heard of
// last. One that is met for the first time was heard of when it says, unless
// that is yet to come.
func (b *presenceBook) hear(tp *tenantPresence, s *presences, now time.Time) map[string]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	heard := make(map[string]time.Time, len(s.Nodes))
	for id, n := range s.Nodes {
		known, met := tp.heard[id]
		switch {
		case !met && n.Seen.Before(now):
			tp.heard[id] = hearing{n.Seen, n.Seen}
		case !met || !known.seen.Equal(n.Seen):
			tp.heard[id] = hearing{n.Seen, now}
		}
		heard[id] = tp.heard[id].at
	}
	maps.DeleteFunc(tp.heard, func(id string, _ hearing) bool { return s.Nodes[id] == nil })
	return heard
}

// silent returns the other nodes that were not heard of for at least so long,
// with the time of their last entry.
func (b *presenceBook) silent(tp *tenantPresence, now time.Time, long time.Duration) map[string]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]time.Time)
	for id, h := range tp.heard {
		if id != b.node && now.Sub(h.at) >= long {
			all[id] = h.seen
		}
	}
	return all
}

// takeDue returns who may have come or left.
func (b *presenceBook) takeDue(tp *tenantPresence) map[stayKey]struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	due := tp.due
	tp.due = make(map[stayKey]struct{})
	return due
}

// giveBack has what could not be told told again.
func (b *presenceBook) giveBack(tp *tenantPresence, due map[stayKey]struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(tp.due, due)
}

// starting returns the tenants that nobody runs yet; they count as running.
func (b *presenceBook) starting() []*tenantPresence {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*tenantPresence
	for _, tp := range b.tenants {
		if !tp.running {
			tp.running = true
			all = append(all, tp)
		}
	}
	return all
}

func (b *presenceBook) close() {
	b.mu.Lock()
	tenants := b.tenants
	b.tenants, b.closed = nil, true
	b.mu.Unlock()
	for _, tp := range tenants {
		tp.book.Close()
	}
}
