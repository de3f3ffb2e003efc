package messaging

import (
	"context"
	"sync"
)

// Calls are those under way on a Log, with its Hints: what a back end needs to
// close at any moment. Close ends them, and whatever else of the back end runs
// under Life; Wait returns when all have returned.
type Calls struct {
	Hints

	life context.Context // static
	end  context.CancelCauseFunc

	mu     sync.Mutex
	closed bool           // guarded by mu
	under  sync.WaitGroup // added to under mu while not closed
}

// NewCalls returns the Calls of a Log that is open.
func NewCalls() *Calls {
	c := &Calls{}
	c.life, c.end = context.WithCancelCause(context.Background())
	return c
}

// Life ends with Close, of ErrClosed.
func (c *Calls) Life() context.Context { return c.life }

// Begin starts a call: the context it returns ends with ctx and with Life,
// whichever is first, and context.Cause says of what. The caller calls done when
// the call returns. Begin fails with ErrClosed after Close, and with ctx's error
// when that has ended.
func (c *Calls) Begin(ctx context.Context) (_ context.Context, done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	c.under.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.life, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		c.under.Done()
	}, nil
}

// Close lets no further call begin, ends Life and every iteration over Changes,
// and waits for nothing. It reports whether it was the first; it may be repeated.
func (c *Calls) Close() (first bool) {
	c.mu.Lock()
	first = !c.closed
	c.closed = true
	c.mu.Unlock()
	c.end(ErrClosed)
	c.Hints.Close()
	return first
}

// Wait returns when all calls have, after Close.
func (c *Calls) Wait() { c.under.Wait() }
