package sessions

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lodge-gateway/lodge"
)

// key names a session within the installation.
type key struct {
	tenant lodge.Tenant
	id     ID
}

func keyOf(s *Session) key { return key{s.Tenant, s.ID} }

// liveShards is how many parts the live table has, each with a lock of its own.
const liveShards = 64

// A liveTable holds what is live on this node because of a session: for each
// watched session, who wants to know of its changes.
type liveTable struct {
	seed   maphash.Seed // static
	shards [liveShards]liveShard
}

type liveShard struct {
	mu      sync.Mutex
	entries map[key]*liveEntry // guarded by mu
}

// A liveEntry is one watched session.
type liveEntry struct {
	watches []*watch // most often one; guarded by the shard's mu
	// good is when the store last answered for the session, on the monotonic
	// clock: leases must not depend on the wall clock being right. Guarded by the
	// shard's mu.
	good time.Time
}

// A watch is one registration.
type watch struct {
	fn func(Session, error)

	stopped atomic.Bool
	mu      sync.Mutex // held while fn is called
	seen    bool       // guarded by mu: the session was read once since the watch began
	digest  uint64     // guarded by mu: of what was last read
	lost    bool       // guarded by mu: the lease has run out, and fn knows
	gone    bool       // guarded by mu: there is no such session, and fn knows
}

func (t *liveTable) init() {
	t.seed = maphash.MakeSeed()
	for i := range t.shards {
		t.shards[i].entries = map[key]*liveEntry{}
	}
}

func (t *liveTable) shard(k key) *liveShard {
	return &t.shards[maphash.Comparable(t.seed, k)%liveShards]
}

// add registers a watch and returns how to take it away.
func (t *liveTable) add(k key, w *watch) (remove func()) {
	sh := t.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[k]
	if e == nil {
		e = &liveEntry{good: time.Now()}
		sh.entries[k] = e
	}
	e.watches = append(e.watches, w)
	return func() {
		w.stopped.Store(true)
		sh.mu.Lock()
		defer sh.mu.Unlock()
		if e := sh.entries[k]; e != nil {
			e.watches = slices.DeleteFunc(e.watches, func(other *watch) bool { return other == w })
			if len(e.watches) == 0 {
				delete(sh.entries, k)
			}
		}
	}
}

func (t *liveTable) has(k key) bool {
	sh := t.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.entries[k] != nil
}

// answered notes that the store answered for a session at a time, and returns
// who watches it.
func (t *liveTable) answered(k key, at time.Time) []*watch {
	sh := t.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[k]
	if e == nil {
		return nil
	}
	if at.After(e.good) {
		e.good = at
	}
	return slices.Clone(e.watches)
}

// byTenant returns every watched session's id, by tenant.
func (t *liveTable) byTenant() map[lodge.Tenant][]ID {
	all := map[lodge.Tenant][]ID{}
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for k := range sh.entries {
			all[k.tenant] = append(all[k.tenant], k.id)
		}
		sh.mu.Unlock()
	}
	return all
}

// overdue returns the watches of sessions that the store has not answered for
// since a time.
func (t *liveTable) overdue(since time.Time) []*watch {
	var list []*watch
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for _, e := range sh.entries {
			if e.good.Before(since) {
				list = append(list, e.watches...)
			}
		}
		sh.mu.Unlock()
	}
	return list
}

// tell calls fn with a session as just read, unless it tells nothing new.
// Versions are not compared: a store that lost its last writes counts them twice.
func (w *watch) tell(s Session, digest uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped.Load() {
		return
	}
	// Who registers and then reads has read this very session if it was never
	// changed.
	unchanged := w.seen && w.digest == digest || !w.seen && s.Version == 1
	told := unchanged && !w.lost && !w.gone
	w.seen, w.digest, w.lost, w.gone = true, digest, false, false
	if !told {
		w.fn(s, nil)
	}
}

// read notes what whoever watches has read after registering. What a poll has read
// meanwhile stands: fn was told of it, or the session was never changed.
func (w *watch) read(digest uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.seen {
		w.seen, w.digest = true, digest
	}
}

// tellGone calls fn once with the error for a session that is not there.
func (w *watch) tellGone(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped.Load() || w.gone {
		return
	}
	w.gone, w.lost = true, false
	w.fn(Session{}, err)
}

// tellLost calls fn once with the error of a lease that has run out.
func (w *watch) tellLost(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped.Load() || w.lost {
		return
	}
	w.lost = true
	w.fn(Session{}, err)
}

// digest sums up what of a session a watch is told about: everything but its
// last activity and the browser's own values, which change all the time and
// give or take no right.
func (t *liveTable) digest(s Session) uint64 {
	s.Version, s.SeenAt, s.Data = 0, time.Time{}, nil
	return maphash.Bytes(t.seed, AppendRecord(nil, &s))
}

// A dirtySet gathers the watched sessions that were hinted at, for one reader.
type dirtySet struct {
	mu   sync.Mutex
	keys map[key]struct{} // guarded by mu
	wake chan struct{}    // capacity 1
}

func (d *dirtySet) init() {
	d.keys, d.wake = map[key]struct{}{}, make(chan struct{}, 1)
}

func (d *dirtySet) add(keys ...key) {
	d.mu.Lock()
	for _, k := range keys {
		d.keys[k] = struct{}{}
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// take returns what was gathered, by tenant, and starts anew.
func (d *dirtySet) take() map[lodge.Tenant][]ID {
	d.mu.Lock()
	keys := d.keys
	d.keys = map[key]struct{}{}
	d.mu.Unlock()
	all := map[lodge.Tenant][]ID{}
	for k := range keys {
		all[k.tenant] = append(all[k.tenant], k.id)
	}
	return all
}
