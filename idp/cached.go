package idp

import (
	"context"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

const (
	// freshFor is how long what an issuer publishes is used before it is read
	// again; see Options.Fresh.
	freshFor = time.Hour
	// After a failure nobody asks the issuer for firstPause, then twice that, up to
	// lastPause: a storm of logins does not become a storm at a struggling issuer.
	firstPause = time.Second
	lastPause  = 15 * time.Second
)

// cached is something an issuer publishes, fetched when it is first needed and
// again when it has become old. One fetch is under way at a time; whoever needs
// its result waits for it, within their own deadline.
type cached[T any] struct {
	clock lodge.Clock
	fresh time.Duration // static: how old a value may be
	fetch func(context.Context) (T, error)
	turn  chan struct{} // holds one token: the right to fetch

	mu      sync.Mutex
	value   T             // guarded by mu
	at      time.Time     // guarded by mu: when value was fetched; zero: never
	err     error         // guarded by mu: what the last fetch failed with
	retryAt time.Time     // guarded by mu: not before, after a failure
	pause   time.Duration // guarded by mu
}

func newCached[T any](clock lodge.Clock, fresh time.Duration, fetch func(context.Context) (T, error)) *cached[T] {
	return &cached[T]{clock: clock, fresh: fresh, fetch: fetch, turn: make(chan struct{}, 1)}
}

// get returns the value, fresh.
func (c *cached[T]) get(ctx context.Context) (T, error) { return c.newer(ctx, c.fresh) }

// newer returns a value that is at most maxAge old, fetching when there is none.
func (c *cached[T]) newer(ctx context.Context, maxAge time.Duration) (T, error) {
	if value, done, err := c.look(maxAge); done {
		return value, err
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	// Somebody else may have fetched, or failed to, while this one waited.
	if value, done, err := c.look(maxAge); done {
		return value, err
	}
	value, err := c.fetchUntilDeadline(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err = err; err != nil {
		c.pause = min(max(2*c.pause, firstPause), lastPause)
		c.retryAt = c.clock.Now().Add(c.pause)
		return value, err
	}
	c.value, c.at, c.pause = value, c.clock.Now(), 0
	return value, nil
}

// fetchUntilDeadline fetches within ctx's deadline, but goes on when ctx is
// cancelled: a browser that leaves must not make the others' fetch fail.
func (c *cached[T]) fetchUntilDeadline(ctx context.Context) (T, error) {
	stay := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		stay, cancel = context.WithDeadline(stay, deadline)
		defer cancel()
	}
	return c.fetch(stay)
}

// known returns the newest value there was, however old, without asking.
func (c *cached[T]) known() (value T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value, !c.at.IsZero()
}

// look returns what is known without asking: a value young enough, or the failure
// of a moment ago.
func (c *cached[T]) look(maxAge time.Duration) (value T, done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	switch {
	case !c.at.IsZero() && now.Sub(c.at) <= maxAge:
		return c.value, true, nil
	case c.err != nil && now.Before(c.retryAt):
		return value, true, c.err
	}
	return value, false, nil
}
