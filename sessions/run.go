package sessions

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Run keeps watches informed, brings owed revocations to the store and removes
// what has ended, until ctx does. It returns nil then, with everything it
// started ended too. It is called once.
func (m *Manager) Run(ctx context.Context) error {
	poll := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { m.subscribe(ctx, poll) })
	wg.Go(func() { m.follow(ctx) })
	wg.Go(func() { m.pollLeases(ctx, poll) })
	wg.Go(func() { m.sweep(ctx) })
	wg.Go(func() { m.settle(ctx) })
	wg.Go(func() { m.collect(ctx) })
	<-ctx.Done()
	return nil
}

// every calls fn each period until ctx ends, and whenever now is sent to.
func every(ctx context.Context, period time.Duration, now <-chan struct{}, fn func()) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-now:
		}
		fn()
	}
}

// subscribe keeps a subscription to the hints of other nodes. Each time one
// stands, the poll looks at everything, for the time without.
func (m *Manager) subscribe(ctx context.Context, poll chan<- struct{}) {
	const most = 5 * time.Second
	wait := 50 * time.Millisecond
	for {
		err := m.signals.Subscribe(ctx, func(sig Signal) {
			if sig.Tenant == "" {
				wait = 50 * time.Millisecond // it stands
			}
			m.hinted(sig, poll)
		})
		if ctx.Err() != nil {
			return
		}
		m.opts.Logger.WarnContext(ctx, "sessions: no hints from other nodes; the lease poll goes on", "error", err)
		timer := time.NewTimer(wait/2 + rand.N(wait/2)) // nodes must not come back in step
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, most)
	}
}

// follow reads the sessions that were hinted at.
func (m *Manager) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.dirty.wake:
			m.reread(ctx, m.dirty.take()) // what fails is read again by the poll
		}
	}
}

// pollLeases reads every watched session a little more often than each LeasePoll:
// what is learned within one includes the reading, and what follows from it.
func (m *Manager) pollLeases(ctx context.Context, poll <-chan struct{}) {
	every(ctx, m.opts.LeasePoll*9/10, poll, func() { m.reread(ctx, m.live.byTenant()) })
}

// sweep ends the leases that have run out.
func (m *Manager) sweep(ctx context.Context) {
	period := m.opts.LeaseGrace / 15
	every(ctx, period, nil, func() { m.expireLeases(period) })
}

// settle brings to the store what the journal says and the store may not know:
// everything standing when this process started, then what became owed since.
func (m *Manager) settle(ctx context.Context) {
	started := m.reconcile(ctx)
	every(ctx, m.opts.LeasePoll, nil, func() {
		if !started {
			started = m.reconcile(ctx)
		}
		m.payOwed(ctx)
	})
}

// reconcile applies every standing revocation and reports whether it could.
func (m *Manager) reconcile(ctx context.Context) bool {
	revs, err := m.journal.Standing(ctx, "", m.clock.Now())
	if err == nil {
		err = m.apply(ctx, revs)
	}
	if err != nil && ctx.Err() == nil {
		m.opts.Logger.ErrorContext(ctx, "sessions: journal not applied to the store; trying again", "error", err)
	}
	return err == nil
}

// confirmFor is how long a revocation that is in the store is looked at again: a
// store with replicas may lose its newest writes to a failover that another
// node has already seen through.
const confirmFor = time.Minute

// A debt is a revocation that is durable, and that the store must come to have.
type debt struct {
	Revocation
	since time.Time
}

// owe remembers revocations that were just made durable.
func (m *Manager) owe(revs []Revocation) {
	m.owedMu.Lock()
	defer m.owedMu.Unlock()
	for _, r := range revs {
		m.owed[key{r.Tenant, r.ID}] = debt{r, time.Now()}
	}
}

// payOwed brings what is owed to the store, and forgets what has been there for
// long enough.
func (m *Manager) payOwed(ctx context.Context) {
	m.owedMu.Lock()
	owed := maps.Clone(m.owed)
	m.owedMu.Unlock()
	if len(owed) == 0 {
		return
	}
	revs := make([]Revocation, 0, len(owed))
	for _, d := range owed {
		revs = append(revs, d.Revocation)
	}
	if err := m.apply(ctx, revs); err != nil {
		if ctx.Err() == nil {
			m.opts.Logger.ErrorContext(ctx, "sessions: revocations owed to the store; trying again", "count", len(revs), "error", err)
		}
		return
	}
	m.owedMu.Lock()
	defer m.owedMu.Unlock()
	for k, d := range owed {
		if m.owed[k] == d && time.Since(d.since) > confirmFor {
			delete(m.owed, k)
		}
	}
}

// apply brings revocations to the store.
func (m *Manager) apply(ctx context.Context, revs []Revocation) error {
	by := map[lodge.Tenant]map[ID]Revocation{}
	for _, r := range revs {
		if by[r.Tenant] == nil {
			by[r.Tenant] = map[ID]Revocation{}
		}
		by[r.Tenant][r.ID] = r
	}
	var errs []error
	for tenant, of := range by {
		for ids := range slices.Chunk(slices.Collect(maps.Keys(of)), leaseBatch) {
			found, err := m.store.Get(ctx, tenant, ids)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			errs = append(errs, m.changeAll(ctx, slices.Collect(maps.Values(found)), func(s *Session) bool { return of[s.ID].Apply(s) }))
		}
	}
	return errors.Join(errs...)
}

// collect removes sessions and revocations that have ended.
func (m *Manager) collect(ctx context.Context) {
	every(ctx, m.opts.Collect, nil, func() {
		now := m.clock.Now()
		n, err := m.store.Collect(ctx, now)
		if err == nil {
			_, err = m.journal.Collect(ctx, now)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			m.opts.Logger.WarnContext(ctx, "sessions: ended sessions not removed", "error", err)
		case n > 0:
			m.opts.Logger.DebugContext(ctx, "sessions: ended sessions removed", "count", n)
		}
	})
}
