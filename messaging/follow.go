package messaging

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	feedersAtOnce = 4   // tails that are fed at a time
	feedPage      = 256 // items of one read
	// hintRetry is the pause before listening for hints again after they
	// ended; meanwhile the repair poll stands in for them.
	hintRetry = time.Second
	// floorEvery is after how long a ring that nobody extends is held against its
	// topic, which may have fewer entries now: another node discarded some.
	floorEvery = 10 * time.Minute
)

// Run follows the log until ctx ends: it feeds the open tails when a hint or the
// repair poll says so. It returns nil when all its goroutines have ended.
func (t *Topics) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { t.hear(ctx) })
	wg.Go(func() { t.repair(ctx) })
	for range feedersAtOnce {
		wg.Go(func() { t.feed(ctx) })
	}
	wg.Wait()
	return nil
}

// hear turns the log's hints into work.
func (t *Topics) hear(ctx context.Context) {
	for ctx.Err() == nil {
		for topic, err := range t.log.Changes(ctx) {
			if errors.Is(err, ErrClosed) {
				return
			}
			if err != nil {
				t.out.Warn("hints of the message log ended; polling instead", slog.Any("error", err))
				break
			}
			t.mu.RLock()
			tl := t.tails[topic]
			t.mu.RUnlock()
			if tl != nil {
				t.n.hints.Add(1)
				t.work.add(tl)
			}
		}
		if !wait(ctx, hintRetry) {
			return
		}
	}
}

// repair compares, every Poll, the heads of all open topics with where their
// rings end: what a lost hint left behind is fed then.
func (t *Topics) repair(ctx context.Context) {
	reachable := true
	for wait(ctx, t.opts.Poll) {
		var tails []*Tail
		var topics []Topic
		t.mu.RLock()
		for topic, tl := range t.tails {
			tails, topics = append(tails, tl), append(topics, topic)
		}
		t.mu.RUnlock()
		if len(topics) == 0 {
			continue
		}
		heads, err := t.log.Heads(ctx, topics)
		if ctx.Err() != nil {
			return
		}
		if ok := err == nil; ok != reachable { // said once, not with every poll
			reachable = ok
			if ok {
				t.out.Info("the message log can be read again")
			} else {
				t.out.Warn("the message log cannot be read", slog.Any("error", err))
			}
		}
		if err != nil {
			continue
		}
		now := time.Now()
		for i, tl := range tails {
			behind, old := tl.due(heads[i], now)
			if behind {
				t.n.repairs.Add(1)
			}
			if behind || old {
				t.work.add(tl)
			}
		}
	}
}

// feed feeds the tails that have work.
func (t *Topics) feed(ctx context.Context) {
	for {
		tl, ok := t.work.take(ctx)
		if !ok {
			return
		}
		if err := tl.catchUp(ctx); err != nil && ctx.Err() == nil {
			t.out.Debug("a topic could not be followed; the next poll tries again", tl.s.attr(), slog.Any("error", err))
		}
		t.work.done(tl)
	}
}

// catchUp reads from the ring's end to the topic's head. It is called by one
// feeder at a time.
func (tl *Tail) catchUp(ctx context.Context) error {
	end, ready := tl.end()
	if !ready {
		head, err := tl.Head(ctx)
		if err != nil {
			return err
		}
		if tl.begin(head, true) {
			return nil
		}
		end, _ = tl.end() // somebody else was quicker, and may have been too early
	}
	for {
		page, err := tl.t.read(ctx, tl.s, end, feedPage)
		var lost *PosLostError
		switch {
		case errors.As(err, &lost):
			tl.begin(lost.Head, false) // readers learn from the log that they lost theirs
			return nil
		case err != nil:
			return err
		}
		tl.extend(page)
		if !page.More {
			return nil
		}
		end, _ = tl.end()
	}
}

// begin finds where the rings of tails begin that have none yet, in one call for
// all of them.
func (t *Topics) begin(ctx context.Context, tails []*Tail) error {
	var fresh []*Tail
	var topics []Topic
	for _, tl := range tails {
		if _, ready := tl.end(); !ready {
			fresh, topics = append(fresh, tl), append(topics, tl.s.topic)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	heads, err := t.log.Heads(ctx, topics)
	if err != nil {
		return outward(err)
	}
	for i, tl := range fresh {
		tl.begin(heads[i], true)
	}
	return nil
}

// wait waits for d and reports whether ctx is still alive.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
