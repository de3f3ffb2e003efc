package messaging

import (
	"context"
	"sync"
)

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
