package postgres

import (
	"context"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/booking"
)

// maxGroup is how many updates share a transaction at the most.
const maxGroup = 64

// A group runs the updates of one node that come at the same time in one
// transaction, each inside a savepoint: they cannot meet one another, and share
// the wait for the disk. While one group is under way the next one gathers. One of
// the callers runs a group for all in it, so that nothing runs when nobody calls.
type group struct {
	db *DB

	mu     sync.Mutex
	queue  []*update // guarded by mu
	active bool      // somebody runs a group, or was told to; guarded by mu
}

// An update is one caller's.
type update struct {
	fn       func(tx booking.Tx) error
	lead     chan struct{} // holds a value when the caller is to run the next group
	done     chan struct{} // closed when err is the outcome
	err      error
	panicked any // what fn panicked with
}

// Update runs fn in a serializable transaction, perhaps with others', and returns
// when it is committed. An error of fn undoes what fn did; like success it is told
// when the transaction is through, since what others did in it may have been the
// reason.
func (g *group) Update(ctx context.Context, fn func(tx booking.Tx) error) error {
	u := &update{fn: fn, lead: make(chan struct{}, 1), done: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, u)
	if !g.active {
		g.active = true
		u.lead <- struct{}{}
	}
	g.mu.Unlock()
	select {
	case <-u.lead:
		g.run()
		<-u.done
	case <-u.done:
	case <-ctx.Done():
		if g.withdraw(u) {
			return ctx.Err()
		}
		<-u.done // it is under way: its caller is told how it ended
	}
	if u.panicked != nil {
		panic(u.panicked)
	}
	return u.err
}

// withdraw takes an update that nobody runs yet out of the queue.
func (g *group) withdraw(u *update) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, u)
	if i < 0 {
		return false
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	select {
	case <-u.lead: // it was its turn to lead: somebody else's now
		g.pass()
	default:
	}
	return true
}

// pass tells the first of the queue to run the next group. The caller holds mu.
func (g *group) pass() {
	if g.active = len(g.queue) > 0; g.active {
		g.queue[0].lead <- struct{}{}
	}
}

// run runs all that have gathered, the caller's own first.
func (g *group) run() {
	g.mu.Lock()
	n := min(len(g.queue), maxGroup)
	batch := slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	g.mu.Unlock()
	err := g.db.Update(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
		for _, u := range batch {
			if err := u.attempt(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	for _, u := range batch {
		if err != nil {
			u.err = err
		}
		close(u.done)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

// attempt runs one update inside a savepoint. It returns an error when the whole
// transaction has to be run again, or cannot be.
func (u *update) attempt(ctx context.Context, tx pgx.Tx) error {
	point, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	u.err, u.panicked = nil, nil
	func() {
		defer func() { u.panicked = recover() }()
		u.err = u.fn(bookingTx{ctx, point})
	}()
	if u.err == nil && u.panicked == nil {
		return point.Commit(ctx)
	}
	if u.err != nil && passing(u.err) {
		return u.err
	}
	return point.Rollback(ctx)
}
