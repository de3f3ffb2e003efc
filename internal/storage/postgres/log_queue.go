package postgres

import (
	"slices"
	"sync"

	"github.com/lodge-gateway/lodge/messaging"
)

// Limits of what one transaction appends; a single call may exceed them.
const (
	commitCalls = 512
	commitBytes = 8 << 20 // of bodies
)

// A logQueue holds the appends that wait, by topic. A topic is with one writer
// at a time, so that its appends keep their order and those that come meanwhile
// gather.
type logQueue struct {
	mu     sync.Mutex
	some   sync.Cond                       // something is ready, or closed
	topics map[messaging.Topic]*logWaiting // those that have calls waiting or taken; guarded by mu
	ready  []*logWaiting                   // those that no writer has and that have calls, oldest first; guarded by mu
	closed bool                            // guarded by mu
}

// logWaiting is what waits for one topic; its fields are guarded by logQueue.mu.
type logWaiting struct {
	topic messaging.Topic
	calls []*logCall
	taken bool // a writer has the topic
}

func newLogQueue() *logQueue {
	q := &logQueue{topics: map[messaging.Topic]*logWaiting{}}
	q.some.L = &q.mu
	return q
}

// add puts a call at the end of its topic's; it returns false when the queue is
// closed.
func (q *logQueue) add(c *logCall) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	w := q.topics[c.topic]
	if w == nil {
		w = &logWaiting{topic: c.topic}
		q.topics[c.topic] = w
	}
	w.calls = append(w.calls, c)
	if !w.taken && len(w.calls) == 1 {
		q.ready = append(q.ready, w)
		q.some.Signal()
	}
	return true
}

// withdraw takes a call back and reports whether no writer had taken it.
func (q *logQueue) withdraw(c *logCall) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.topics[c.topic]
	if w == nil {
		return false
	}
	i := slices.Index(w.calls, c)
	if i < 0 {
		return false
	}
	w.calls = slices.Delete(w.calls, i, i+1)
	if len(w.calls) == 0 && !w.taken {
		q.ready = slices.DeleteFunc(q.ready, func(r *logWaiting) bool { return r == w })
		delete(q.topics, w.topic)
	}
	return true
}

// take waits for calls and takes those of as many topics as are ready; none when
// the queue is closed. The caller gives them to done.
func (q *logQueue) take() []*logCall {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 && !q.closed {
		q.some.Wait()
	}
	if q.closed {
		return nil
	}
	var calls []*logCall
	size, full := 0, false
	for len(q.ready) > 0 && !full {
		w, n := q.ready[0], 0
		for n < len(w.calls) && !full {
			size += w.calls[n].bytes
			if full = len(calls)+n > 0 && (len(calls)+n >= commitCalls || size > commitBytes); !full {
				n++
			}
		}
		if n == 0 {
			break // the next transaction's
		}
		calls = append(calls, w.calls[:n]...)
		w.calls = slices.Clone(w.calls[n:])
		w.taken = true
		q.ready = q.ready[1:]
	}
	return calls
}

// done gives back the topics of calls that were taken together.
func (q *logQueue) done(calls []*logCall) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range calls {
		w := q.topics[c.topic]
		if w == nil || !w.taken {
			continue // by an earlier call of the same topic
		}
		w.taken = false
		if len(w.calls) == 0 {
			delete(q.topics, w.topic)
			continue
		}
		q.ready = append(q.ready, w)
		q.some.Signal()
	}
}

// close lets every take return. What waits is withdrawn by its callers.
func (q *logQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.some.Broadcast()
}
