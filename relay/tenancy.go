package relay

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lodge-gateway/lodge"
)

// fleet is a Fleet at work in one relay.
type fleet struct {
	*Fleet
	relay     *Relay
	tenancies map[lodge.Tenant]*tenancy // static
	asked     asked

	lost, fenced atomic.Uint64 // topics that another took; connections that were ended for want of a lease
}

// A tenancy is what this node holds of one tenant's topics.
type tenancy struct {
	fleet  *fleet
	tenant lodge.Tenant

	freeing sync.RWMutex // held to give up topics; read-held to take one
	beating sync.Mutex   // held by a beat under way, and to leave

	mu      sync.Mutex
	until   time.Time            // guarded by mu, as the rest: when this node's life ends, in its own belief
	held    map[string]time.Time // since when nobody is connected; zero: somebody is
	nodes   []Node               // as read last
	leaving bool
	failing bool // the last beat failed

	first  sync.Once
	joined chan struct{} // closed by the first beat
	moved  chan struct{} // holds a token after until has changed

	changes chan struct{} // holds a token after a connection has come or gone
}

func newFleet(r *Relay, cfg Fleet) *fleet {
	cfg.setDefaults()
	f := &fleet{Fleet: &cfg, relay: r, tenancies: map[lodge.Tenant]*tenancy{}}
	f.asked.init(f)
	for _, tenant := range cfg.Tenants {
		f.tenancies[tenant] = &tenancy{
			fleet: f, tenant: tenant, held: map[string]time.Time{}, joined: make(chan struct{}), moved: make(chan struct{}, 1),
			changes: make(chan struct{}, 1),
		}
	}
	return f
}

// carries reports whether streams may be here at all.
func (f *fleet) carries() bool { return f.Self.URL != "" }

// run beats for every tenant and answers the other nodes' questions until ctx ends.
func (f *fleet) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, t := range f.tenancies {
		wg.Go(func() { t.keep(ctx) })
		wg.Go(func() { t.watch(ctx) })
		if f.Asks != nil && f.relay.opts.Distant != nil {
			wg.Go(func() { (&distant{t, map[distantKey]Grant{}}).run(ctx) })
		}
		if f.carries() && f.relay.unseen {
			wg.Go(func() { t.tellChanges(ctx) })
		}
	}
	if f.Asks != nil && f.carries() {
		wg.Go(func() { f.answer(ctx) })
	}
	wg.Wait()
}

// Joined waits until this node has been heard of by the others, or ctx ends. A
// relay on its own has joined.
func (r *Relay) Joined(ctx context.Context) error {
	if r.fleet == nil {
		return nil
	}
	for _, t := range r.fleet.tenancies {
		select {
		case <-t.joined:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// holds reports whether a topic is this node's, as it believes.
func (t *tenancy) holds(topic string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leaving || !time.Now().Before(t.until) {
		return false
	}
	_, held := t.held[topic]
	return held || topic == StatsTopic
}

// hold asks the store who holds a topic, and takes it when it is this node.
func (t *tenancy) hold(ctx context.Context, topic string, candidates []string) (Holding, error) {
	t.freeing.RLock()
	defer t.freeing.RUnlock()
	h, err := t.fleet.Leases.Hold(ctx, t.tenant, topic, candidates)
	if err == nil && h.ID == t.fleet.Self.ID {
		t.mu.Lock()
		// Should this node's life be over in its own belief, the topic is not its, and
		// the store will come to see that.
		if !t.leaving && time.Now().Before(t.until) {
			t.held[topic] = time.Now()
		}
		t.mu.Unlock()
	}
	return h, err
}

// candidates returns the nodes that could hold a topic, in an order that is the
// same on all nodes and another for each topic.
func (t *tenancy) candidates(ctx context.Context, topic string, now bool) ([]Node, error) {
	t.mu.Lock()
	nodes, leaving := slices.Clone(t.nodes), t.leaving
	t.mu.Unlock()
	if now || len(nodes) == 0 {
		var err error
		if nodes, err = t.fleet.Leases.Nodes(ctx, t.tenant); err != nil {
			return nil, err
		}
	}
	if leaving {
		nodes = slices.DeleteFunc(nodes, func(n Node) bool { return n.ID == t.fleet.Self.ID })
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(weight(a.ID, topic), weight(b.ID, topic)), cmp.Compare(a.ID, b.ID))
	})
	return nodes, nil
}

// weight orders nodes for a topic (rendezvous hashing): when one goes, its topics
// are spread over the others and no other topic moves. Who decides first is
// obeyed by all, so that it need not be the same on every node; it only spreads
// better if it is.
func weight(node, topic string) uint64 { return fnv64(node + "\x00" + topic) }

func fnv64(s string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	// The last bytes alone would hardly move the upper bits.
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	return h ^ h>>33
}

// keep beats until ctx ends. A node that carries nothing only looks who lives.
func (t *tenancy) keep(ctx context.Context) {
	period := t.fleet.Self.Life / beats
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		t.beat(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// beat says once that this node lives, and ends what it has lost meanwhile.
func (t *tenancy) beat(ctx context.Context) {
	t.beating.Lock()
	defer t.beating.Unlock()
	// A beat that takes longer than two periods is given up for the next one.
	ctx, cancel := context.WithTimeout(ctx, 2*t.fleet.Self.Life/beats)
	defer cancel()
	t.mu.Lock()
	leaving := t.leaving
	t.mu.Unlock()

	if t.fleet.carries() && !leaving {
		topics := t.sweep(ctx)
		sent := time.Now()
		lost, err := t.fleet.Leases.Beat(ctx, t.tenant, t.fleet.Self, topics)
		if err != nil {
			t.failed(ctx, err)
			return
		}
		t.live(sent.Add(t.fleet.Self.Life * (beats - 1) / beats))
		t.lose(lost)
	}
	nodes, err := t.fleet.Leases.Nodes(ctx, t.tenant)
	if err != nil {
		t.failed(ctx, err)
		return
	}
	t.mu.Lock()
	mended := t.failing
	t.nodes, t.failing = nodes, false
	t.mu.Unlock()
	if mended {
		t.fleet.relay.opts.Logger.InfoContext(ctx, "relay: the other nodes can be reached again", "tenant", t.tenant)
	}
	t.first.Do(func() { close(t.joined) })
}

// failed tells of the first of several beats that fail.
func (t *tenancy) failed(ctx context.Context, err error) {
	t.mu.Lock()
	known := t.failing
	t.failing = true
	t.mu.Unlock()
	if !known && !errors.Is(context.Cause(ctx), context.Canceled) {
		t.fleet.relay.opts.Logger.WarnContext(ctx, "relay: the store of leases does not answer; streams are closed if that lasts",
			"tenant", t.tenant, "life", t.fleet.Self.Life, "err", err)
	}
}

// live sets when this node's life ends.
func (t *tenancy) live(until time.Time) {
	t.mu.Lock()
	t.until = until
	t.mu.Unlock()
	select {
	case t.moved <- struct{}{}:
	default:
	}
}

// sweep gives up the topics that nobody has used for a while, and returns the
// others.
func (t *tenancy) sweep(ctx context.Context) []string {
	now := time.Now()
	var idle []string
	t.mu.Lock()
	for topic, since := range t.held {
		switch {
		case !t.fleet.relay.rooms.empty(roomKey{t.tenant, topic}):
			t.held[topic] = time.Time{}
		case since.IsZero():
			t.held[topic] = now
		case now.Sub(since) > topicIdle:
			idle = append(idle, topic)
		}
	}
	t.mu.Unlock()
	if len(idle) > 0 {
		t.free(ctx, idle)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.held))
}

// free gives up topics while none can be taken. One that was entered at the last
// moment is claimed again by its connection, or by the next beat.
func (t *tenancy) free(ctx context.Context, topics []string) {
	t.freeing.Lock()
	defer t.freeing.Unlock()
	t.mu.Lock()
	topics = slices.DeleteFunc(topics, func(topic string) bool { return !t.fleet.relay.rooms.empty(roomKey{t.tenant, topic}) })
	for _, topic := range topics {
		delete(t.held, topic)
	}
	t.mu.Unlock()
	if err := t.fleet.Leases.Free(ctx, t.tenant, t.fleet.Self.ID, topics); err != nil {
		t.fleet.relay.opts.Logger.DebugContext(ctx, "relay: idle topics not freed", "err", err) // they go with this node's life
	}
}

// lose ends the connections of topics that are another node's.
func (t *tenancy) lose(topics []string) {
	if len(topics) == 0 {
		return
	}
	t.mu.Lock()
	for _, topic := range topics {
		delete(t.held, topic)
	}
	t.mu.Unlock()
	t.fleet.lost.Add(uint64(len(topics)))
	t.fleet.relay.opts.Logger.Warn("relay: another node carries these topics now", "tenant", t.tenant, "topics", topics)
	t.fleet.fence(func(key roomKey) bool { return key.tenant == t.tenant && slices.Contains(topics, key.topic) })
}

// watch ends this node's connections when its life does, until ctx ends.
func (t *tenancy) watch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		t.mu.Lock()
		left := time.Until(t.until)
		over := left <= 0 && len(t.held) > 0
		if over {
			clear(t.held)
		}
		t.mu.Unlock()
		if over {
			t.fleet.relay.opts.Logger.Warn("relay: this node has lost its leases; its streams are closed", "tenant", t.tenant)
			t.fleet.fence(func(key roomKey) bool { return key.tenant == t.tenant && key.topic != StatsTopic })
		}
		if left <= 0 {
			left = t.fleet.Self.Life // nothing to lose before the next beat
		}
		timer.Reset(left)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-t.moved:
		}
	}
}

// fence ends the connections of rooms for want of a lease. From its return on,
// none of them sends or receives.
func (f *fleet) fence(of func(roomKey) bool) {
	var gone []*peer
	f.relay.rooms.each(func(p *peer) {
		if of(p.room.key) {
			gone = append(gone, p)
		}
	})
	for _, p := range gone {
		p.shut(StatusLeaseLost, "This relay has lost the stream to another one; connect again in a moment.")
	}
	f.fenced.Add(uint64(len(gone)))
}

// leave hands over everything at once: other nodes may take this one's topics as
// soon as it returns. The connections have been ended.
func (f *fleet) leave(ctx context.Context) {
	for _, t := range f.tenancies {
		t.mu.Lock()
		t.leaving = true
		clear(t.held)
		t.mu.Unlock()
		if !f.carries() {
			continue
		}
		t.beating.Lock() // a beat under way would undo it
		if err := f.Leases.Leave(ctx, t.tenant, f.Self.ID); err != nil {
			f.relay.opts.Logger.WarnContext(ctx, "relay: not signed off; others take over when the lease has run out", "tenant", t.tenant, "err", err)
		}
		t.beating.Unlock()
	}
}

// leases returns how many topics this node holds.
func (f *fleet) leases() int {
	n := 0
	for _, t := range f.tenancies {
		t.mu.Lock()
		n += len(t.held)
		t.mu.Unlock()
	}
	return n
}
