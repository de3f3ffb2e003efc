package messaging

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	uncertainTries = 5  // of one batch, before its callers are told
	probesAtOnce   = 16 // calls to the back end
)

// never is a head that no topic has. An append on condition of it adds nothing
// and succeeds just if all its IDs are there already: it asks for an ID.
var never = Pos{Epoch: math.MaxInt64, Seq: math.MaxInt64, Tag: Tag{'n', 'e', 'v', 'e', 'r'}}

// flush appends the messages of calls in one batch: behind the head *cond only,
// else ErrConflict, or with cond nil behind whatever the head is.
func (a *appender) flush(ctx context.Context, calls []*appendCall, cond *Pos) error {
	first := make(map[string]*pendingMsg)
	var todo, repeats []*pendingMsg
	for _, c := range calls {
		for _, m := range c.msgs {
			if first[m.ID] != nil {
				repeats = append(repeats, m)
				continue
			}
			first[m.ID] = m
			todo = append(todo, m)
		}
	}
	if err := a.settleAll(ctx, calls, todo, cond); err != nil {
		return err
	}
	for _, m := range repeats {
		m.at = Appended{Pos: first[m.ID].at.Pos, Duplicate: true}
		a.t.n.duplicates.Add(1)
	}
	return nil
}

// settleAll appends msgs, whose IDs differ, until each has its place. Conflicts
// with other writers, and with what is there already, are dealt with as they
// come: to look for the IDs first would cost every append a round trip.
func (a *appender) settleAll(ctx context.Context, calls []*appendCall, msgs []*pendingMsg, cond *Pos) error {
	head, err := a.headFor(ctx, cond)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		err := a.attempt(ctx, calls, msgs, head)
		if err == nil || !errors.Is(err, ErrConflict) && !errors.Is(err, ErrDropped) {
			return err
		}
		a.t.n.conflicts.Add(1)
		stale := head
		if cond == nil {
			// First the pause: a head from before it is as stale as the last one
			// where others write all the time.
			if err := pause(ctx, try); err != nil {
				return err
			}
			if head, err = a.currentHead(ctx); err != nil {
				return err
			}
		}
		found := false
		if cond != nil || head == stale || try > 0 { // else it was another writer
			if found, err = a.findKnown(ctx, msgs); err != nil {
				return err
			}
		}
		if cond != nil && !found {
			return ErrConflict
		}
	}
}

// headFor returns the head to append behind: the condition, or what this node
// saw there last.
func (a *appender) headFor(ctx context.Context, cond *Pos) (Pos, error) {
	if cond != nil {
		return *cond, nil
	}
	if head, ok := a.t.head.get(a.s.topic); ok {
		return head, nil
	}
	return a.currentHead(ctx)
}

// currentHead asks the back end for the head.
func (a *appender) currentHead(ctx context.Context) (Pos, error) {
	heads, err := a.t.log.Heads(ctx, []Topic{a.s.topic})
	if err != nil {
		return Pos{}, err
	}
	a.t.head.set(a.s.topic, heads[0])
	return heads[0], nil
}

// attempt appends the messages behind head, if that is the head. On success it
// has set where each of them is.
func (a *appender) attempt(ctx context.Context, calls []*appendCall, msgs []*pendingMsg, head Pos) error {
	var todo []*pendingMsg
	var batch []Msg
	prev := head
	for _, m := range msgs {
		if m.known {
			continue
		}
		sealed, err := a.s.seal(prev, m.Message)
		if err != nil {
			return err
		}
		prev = Pos{Epoch: prev.Epoch, Seq: prev.Seq + 1, Tag: sealed.Tag}
		todo, batch = append(todo, m), append(batch, sealed)
	}
	if len(batch) == 0 {
		return nil
	}
	added, err := a.persist(ctx, calls, todo, batch, head)
	if err != nil {
		return err
	}
	a.t.n.batches.Add(1)
	for i, m := range todo {
		m.known = true
		// After an attempt of unknown outcome, what is there may be our own.
		m.at = Appended{Pos: added[i].Pos, Duplicate: added[i].Duplicate && !slices.Contains(m.tried, added[i].Pos.Tag)}
		a.t.n.count(m.at)
		if !added[i].Duplicate {
			a.t.head.set(a.s.topic, added[i].Pos)
		}
	}
	return nil
}

// persist appends a sealed batch, again and again while the outcome is unknown.
func (a *appender) persist(ctx context.Context, calls []*appendCall, msgs []*pendingMsg, batch []Msg, head Pos) ([]Appended, error) {
	for try := 1; ; try++ {
		added, err := a.t.log.Append(ctx, a.s.topic, batch, &head)
		if !errors.Is(err, ErrUncertain) {
			return added, err
		}
		a.t.n.uncertain.Add(1)
		for _, c := range calls {
			c.uncertain = true
		}
		for i, m := range msgs {
			m.fresh = false
			m.tried = append(m.tried, batch[i].Tag)
		}
		if try == uncertainTries {
			return nil, err
		}
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// findKnown finds the messages that are in the topic already, and reports
// whether there were any. It is called after a conflict: the back end adds no
// batch of which it has a part, since what comes behind a known message would be
// sealed to follow on something that is not there.
func (a *appender) findKnown(ctx context.Context, msgs []*pendingMsg) (bool, error) {
	unknown := 0
	for _, m := range msgs {
		if !m.known {
			unknown++
		}
	}
	if unknown < 2 {
		return false, nil // alone it would have been answered
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(probesAtOnce)
	var found atomic.Bool
	for _, m := range msgs {
		if m.fresh || m.known {
			continue
		}
		g.Go(func() error {
			at, err := a.t.log.Append(gctx, a.s.topic, []Msg{{ID: m.ID}}, &never)
			switch {
			case errors.Is(err, ErrConflict):
				return nil
			case err != nil:
				return err
			}
			m.known = true
			m.at = Appended{Pos: at[0].Pos, Duplicate: !slices.Contains(m.tried, at[0].Pos.Tag)}
			a.t.n.count(m.at)
			found.Store(true)
			return nil
		})
	}
	err := g.Wait()
	return found.Load(), err
}

// count counts a message whose place is known.
func (n *counters) count(at Appended) {
	if at.Duplicate {
		n.duplicates.Add(1)
	} else {
		n.appended.Add(1)
	}
}

// pause waits before the next try: a random time of up to 2 ms that doubles
// with each, up to 128 ms.
func pause(ctx context.Context, try int) error {
	limit := 2 * time.Millisecond << min(try, 6)
	timer := time.NewTimer(rand.N(limit))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
