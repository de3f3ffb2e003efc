package booking

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

func bookingSubject(b Booking) Subject { return Subject{b.Tenant, bookingName(b.ID)} }

func bookingName(id string) string { return "booking:" + id }

// carry carries out what is outstanding for a subject, in order, on behalf of a
// caller who waits for it. It goes on when the caller leaves, and gives up after
// the effect wait; Run then takes over.
func (d *Desk) carry(ctx context.Context, s Subject) error {
	return d.await(ctx, s, func(ctx context.Context) error { return d.drain(ctx, s) })
}

// await is what a caller waits for of a subject's effects.
func (d *Desk) await(ctx context.Context, s Subject, drain func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.opts.EffectWait)
	defer cancel()
	err := drain(ctx)
	if err == nil {
		return nil
	}
	d.log.Warn("booking: an effect is late", "tenant", s.Tenant, "subject", s.Name, "err", err)
	select {
	case d.wake <- struct{}{}:
	default: // Run knows already
	}
	e := lodge.Wrap(lodge.CodeUnavailable, "This is recorded, but has not taken effect everywhere yet; it will be completed shortly.", err)
	e.RetryAfter = d.opts.RetryEvery
	e.Details = map[string]any{"pending": true}
	return e
}

// drain carries out the effects of a subject, one at a time and oldest first,
// until none is left or one fails.
func (d *Desk) drain(ctx context.Context, s Subject) error {
	release, err := d.turns.take(ctx, s)
	if err != nil {
		return fmt.Errorf("booking: an earlier effect is still under way: %w", err)
	}
	defer release()
	giveBack, err := d.claim(ctx, s)
	if err != nil {
		return err
	}
	e, tries, err := d.next(ctx, s)
	return d.work(ctx, s, e, tries, err, giveBack)
}

// work carries out the effects of a subject that is this desk's, from the one that
// was read on, and gives the subject back.
func (d *Desk) work(ctx context.Context, s Subject, e Effect, tries int, err error, giveBack func()) error {
	gone := false
	defer func() {
		if !gone {
			giveBack()
		}
	}()
	for {
		if errors.Is(err, ErrUnknown) {
			return nil
		}
		if err != nil {
			return err
		}
		d.mu.Lock()
		effects := d.effects
		d.mu.Unlock()
		if err := effects.Carry(ctx, e); err != nil {
			return errors.Join(fmt.Errorf("booking: %s: %w", e.Kind, err), d.postpone(ctx, e, tries))
		}
		if e, tries, gone, err = d.done(ctx, s, e); err != nil && !errors.Is(err, ErrUnknown) {
			err = fmt.Errorf("booking: mark an effect done: %w", err)
		}
	}
}

// next returns a subject's oldest effect with the booking as it is now.
func (d *Desk) next(ctx context.Context, s Subject) (e Effect, tries int, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		e, tries, err = d.oldest(tx, s)
		return err
	})
	return e, tries, err
}

// done removes an effect that was carried out and returns the next one as next
// does, in one step; when none is left it may give the subject back, and says so.
// Should the machine fail now, the effect is carried out again.
func (d *Desk) done(ctx context.Context, s Subject, carried Effect) (e Effect, tries int, gone bool, err error) {
	none := false
	err = d.updateSoon(ctx, func(tx Tx) error {
		if err := tx.Done(carried.Tenant, carried.ID); err != nil {
			return err
		}
		holder, holds := tx.(TxClaimer)
		if holds {
			if err := holder.LetGo(s, d.node); err != nil {
				return err
			}
		}
		var err error
		e, tries, err = d.oldest(tx, s)
		none = errors.Is(err, ErrUnknown)
		gone = none && holds
		if none {
			return nil // what was done stays done
		}
		return err
	})
	if err != nil {
		return Effect{}, 0, false, err
	}
	if none {
		err = ErrUnknown
	}
	return e, tries, gone, err
}

func (d *Desk) oldest(tx Tx, s Subject) (e Effect, tries int, err error) {
	if e, tries, err = tx.Next(s.Tenant, s.Name); err != nil {
		return e, tries, err
	}
	if e.Wait.ID != "" {
		w, err := tx.Wait(s.Tenant, e.Wait.ID)
		if !errors.Is(err, ErrUnknown) { // else it ended: there is nobody to tell
			e.Wait = w
			return e, tries, err
		}
	}
	if e.Booking.ID == "" {
		return e, tries, nil
	}
	rec, err := tx.Booking(s.Tenant, e.Booking.ID)
	if errors.Is(err, ErrUnknown) { // which says of an effect that there is none
		return e, tries, errOrphan
	}
	e.Booking = d.seen(rec.Booking)
	return e, tries, err
}

var errOrphan = errors.New("booking: an effect's booking is not there")

// postpone counts a failed attempt; the pause doubles up to a minute.
func (d *Desk) postpone(ctx context.Context, e Effect, tries int) error {
	pause := min(d.opts.RetryEvery<<min(tries, 10), time.Minute)
	// The attempt may have failed because ctx ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.opts.EffectWait)
	defer cancel()
	until := d.now().Add(pause)
	return d.store.Update(ctx, func(tx Tx) error { return tx.Postpone(e.Tenant, e.ID, until) })
}

// Run cancels what nobody came to, tells those on waiting lists, makes the
// reminders that are due, retries effects that are outstanding, those from before
// a restart first, and removes references that are dead. It returns when ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	retry := time.NewTicker(d.opts.RetryEvery)
	defer retry.Stop()
	collect := time.NewTicker(time.Hour)
	defer collect.Stop()
	d.collect(ctx)
	for {
		d.remind(ctx)
		d.settleAwaited(ctx)
		d.serveWaits(ctx)
		d.drainDue(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-retry.C:
		case <-d.wake:
		case <-collect.C:
			d.collect(ctx)
		}
	}
}

// dueLimit is how many subjects one round takes on, side to side in lanes, so
// that a few that hang do not hold up the others.
const (
	dueLimit = 256
	dueLanes = 16
)

func (d *Desk) drainDue(ctx context.Context) {
	var due []Subject
	err := d.store.View(ctx, func(tx Tx) (err error) {
		due, err = tx.Due(d.now(), dueLimit)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("booking: the outbox cannot be read", "err", err)
		}
		return
	}
	lanes := make(chan struct{}, dueLanes)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range due {
		select {
		case lanes <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-lanes }()
			limited, cancel := context.WithTimeout(ctx, d.opts.EffectWait)
			defer cancel()
			if err := d.drain(limited, s); err != nil && ctx.Err() == nil {
				d.log.Warn("booking: an effect will be retried", "tenant", s.Tenant, "subject", s.Name, "err", err)
			}
		})
	}
}

func (d *Desk) collect(ctx context.Context) {
	now := d.now()
	err := d.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.Forget(now.Add(-d.opts.MessagePeriod), now); err != nil {
			return err
		}
		return tx.ForgetLinks(now)
	})
	if err != nil && ctx.Err() == nil {
		d.log.Warn("booking: dead references were not removed", "err", err)
	}
}

// turns hands out one turn at a time for each subject.
type turns struct {
	mu   sync.Mutex
	held map[Subject]*turn // guarded by mu
}

type turn struct {
	token chan struct{} // holds one value while taken
	users int           // guarded by turns.mu: who has or awaits the turn
}

// take waits for a subject's turn until ctx ends.
func (ts *turns) take(ctx context.Context, s Subject) (release func(), err error) {
	ts.mu.Lock()
	t := ts.held[s]
	if t == nil {
		t = &turn{token: make(chan struct{}, 1)}
		ts.held[s] = t
	}
	t.users++
	ts.mu.Unlock()
	leave := func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(ts.held, s)
		}
	}
	select {
	case t.token <- struct{}{}:
		return func() { <-t.token; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
