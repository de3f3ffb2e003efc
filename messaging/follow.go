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
		for i, tl := range tails {
			end, ready := tl.end()
			if !ready || end != heads[i] {
				t.n.repairs.Add(1)
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
		tl.begin(head)
		return nil
	}
	for {
		page, err := tl.t.read(ctx, tl.s, end, feedPage)
		var lost *PosLostError
		switch {
		case errors.As(err, &lost):
			tl.begin(lost.Head) // readers learn from the log that they lost theirs
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

// A feedState says whether a tail waits for a feeder.
type feedState int

const (
	feedIdle  feedState = iota
	feedDue             // in the queue
	feedBusy            // a feeder has it
	feedAgain           // a feeder has it, and there was news since
)

// A feedQueue is the tails that have work, each at most once, however much news
// there is.
type feedQueue struct {
	wake chan struct{} // capacity 1: there is something in the queue

	mu    sync.Mutex
	queue []*Tail // and the tails' state; guarded by mu
}

func (q *feedQueue) add(tl *Tail) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch tl.state {
	case feedIdle:
		q.put(tl)
	case feedBusy:
		tl.state = feedAgain
	case feedDue, feedAgain: // it is known
	}
}

// put puts a tail in the queue; the caller holds mu.
func (q *feedQueue) put(tl *Tail) {
	tl.state = feedDue
	q.queue = append(q.queue, tl)
	q.signal()
}

func (q *feedQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // a feeder is on its way, and tells the next
	}
}

// take waits for a tail with work; false means that ctx ended.
func (q *feedQueue) take(ctx context.Context) (*Tail, bool) {
	for ctx.Err() == nil {
		q.mu.Lock()
		if len(q.queue) > 0 {
			tl := q.queue[0]
			q.queue = q.queue[1:]
			tl.state = feedBusy
			if len(q.queue) > 0 {
				q.signal()
			}
			q.mu.Unlock()
			return tl, true
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
		}
	}
	return nil, false
}

// done says that a feeder is through with a tail.
func (q *feedQueue) done(tl *Tail) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if tl.state == feedAgain {
		q.put(tl)
		return
	}
	tl.state = feedIdle
}
