package postgres

import (
	"context"
	"errors"
	"fmt"
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
	ctx      context.Context // the caller's
	fn       func(tx booking.Tx) error
	soon     bool          // need not be on disk when it is answered
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
	return g.do(ctx, &update{fn: fn})
}

func (g *group) do(ctx context.Context, u *update) error {
	u.ctx, u.lead, u.done = ctx, make(chan struct{}, 1), make(chan struct{})
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
	err := g.transact(batch, false)
	if errors.Is(err, errSpoiled) {
		err = g.transact(batch, true)
	}
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

// errSpoiled says that the transaction of a group has to be run again on strict
// lines.
var errSpoiled = errors.New("postgres: a statement that did not wait for the one before it spoiled the transaction")

// transact runs a group in one transaction, on a line that all share.
func (g *group) transact(batch []*update, strict bool) error {
	return g.db.Update(context.Background(), func(ctx context.Context, tx pgx.Tx) error {
		l := &line{ctx: ctx, tx: tx, strict: strict}
		if !slices.ContainsFunc(batch, func(u *update) bool { return !u.soon }) {
			// Whoever waits for the disk next waits for this too.
			if err := l.then(`SET LOCAL synchronous_commit TO off`); err != nil {
				return err
			}
		}
		for _, u := range batch {
			if err := u.attempt(l); err != nil {
				return err
			}
		}
		return nil // what still waits are releases, which the commit is too
	})
}

// attempt runs one update inside a savepoint, and once more on a strict line when
// something did not go as expected. It returns an error when the whole transaction
// has to be run again, or cannot be. An update whose caller has gone is not run
// again: the caller may be asking another node by now, and what that one refuses
// must not come about afterwards.
func (u *update) attempt(l *line) error {
	if u.err, u.panicked = u.ctx.Err(), nil; u.err != nil {
		return nil
	}
	if err := l.then(`SAVEPOINT one`); err != nil {
		return err
	}
	before := l.mark()
	u.over(l)
	if l.broken != nil {
		if passing(l.broken) {
			return l.broken
		}
		if err := l.back(before); err != nil {
			return fmt.Errorf("%w: %w", errSpoiled, err)
		}
		strict := &line{ctx: l.ctx, tx: l.tx, strict: true}
		u.over(strict)
	}
	if u.err != nil && passing(u.err) {
		return u.err
	}
	if u.err != nil || u.panicked != nil {
		if err := l.back(before); err != nil {
			return err
		}
	}
	return l.then(`RELEASE SAVEPOINT one`)
}

// over runs the update over a line, until all of it is done there.
func (u *update) over(l *line) {
	u.err, u.panicked = nil, nil
	defer func() { u.panicked = recover() }()
	if u.err = u.fn(bookingTx{l}); u.err == nil {
		u.err = l.flush()
	}
}
