package jetstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge/messaging"
)

const (
	// flightBytes is how much the calls of one flight have together, unless one
	// alone has more.
	flightBytes = maxInline * 3 / 4
	// yieldFor is how long a node that saw another write to a topic leaves it some
	// room: a cluster takes one record of a topic at a time, and who just wrote one
	// would be first again and again.
	yieldFor = time.Second
	// yieldMost is the longest that it waits at a time, and retryMost the longest
	// wait of one that found another's record on its way.
	yieldMost = 20 * time.Millisecond
	retryMost = 3 * time.Millisecond
)

// A call is an append or a discard that waits to be written, alone or together
// with others on its topic.
type call struct {
	msgs    []messaging.Msg
	ifHead  *messaging.Pos
	discard *messaging.Pos // nil for an append
	size    int

	taken bool          // guarded by Log.mu: it cannot be withdrawn any more
	done  chan struct{} // closed when what follows is set
	added []messaging.Appended
	err   error
}

// send puts a call on its way and waits for its outcome. Who gives up before it
// left has done nothing.
func (l *Log) send(ctx context.Context, name messaging.Topic, c *call) error {
	t := l.use(name)
	defer l.done(t)
	l.mu.Lock()
	t.queue = append(t.queue, c)
	if !t.flying {
		t.flying = true
		t.users++
		l.work.Go(func() {
			defer l.done(t)
			for calls := l.board(t); calls != nil; calls = l.board(t) {
				l.fly(t, calls)
			}
		})
	}
	l.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.taken {
		return uncertain(errors.New("given up while it was under way: " + context.Cause(ctx).Error()))
	}
	t.queue = slices.DeleteFunc(t.queue, func(other *call) bool { return other == c })
	return context.Cause(ctx)
}

// board takes the calls of one flight from the queue; nil ends the flights. A
// discard flies alone.
func (l *Log) board(t *topic) []*call {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, 0
	for n < len(t.queue) && (n == 0 || size+t.queue[n].size <= flightBytes && t.queue[n].discard == nil && t.queue[0].discard == nil) {
		t.queue[n].taken = true
		size += t.queue[n].size
		n++
	}
	if n == 0 {
		t.flying = false
		return nil
	}
	calls := slices.Clone(t.queue[:n])
	t.queue = slices.Delete(t.queue, 0, n)
	return calls
}

// fly writes what calls want and tells each its outcome. No caller's context ends
// it; the log's time-outs do.
func (l *Log) fly(t *topic, calls []*call) {
	began := time.Now()
	p, err := l.write(t, calls)
	for i, c := range calls {
		if err != nil {
			c.err = err
		} else {
			c.added, c.err = p.added[i], p.errs[i]
		}
		close(c.done)
	}
	l.yield(t, time.Since(began))
}

// write has a plan for calls come true. What nothing is written for is judged by
// what was looked up after the calls were taken.
func (l *Log) write(t *topic, calls []*call) (*plan, error) {
	looked := false
	for began := time.Now(); time.Since(began) < 2*l.conf.Timeout; {
		l.mu.Lock()
		session := l.session
		l.mu.Unlock()
		t.mu.Lock()
		current := t.session == session
		t.mu.Unlock()
		if !current && !looked {
			if _, err := l.catchUp(l.calls.Life(), t); err != nil {
				return nil, err
			}
			looked = true
		}
		t.mu.Lock()
		if !t.state.whole() { // some ID may be in what is not known
			t.mu.Unlock()
			if err := l.wholly(l.calls.Life(), t); err != nil {
				return nil, err
			}
			looked = true
			continue
		}
		p := t.state.judge(calls)
		t.mu.Unlock()
		if p.record == nil && looked {
			return p, nil
		}
		if p.record != nil {
			if err := l.store(t, p); !errors.Is(err, errMoved) {
				return p, err
			}
		}
		if _, err := l.catchUp(l.calls.Life(), t); err != nil {
			return nil, err
		}
		looked = true
		t.mu.Lock()
		moved := t.state.last != p.behind
		t.mu.Unlock()
		if p.record != nil && !moved { // another record is on its way
			wait(l.calls.Life(), rand.N(retryMost))
		}
	}
	return nil, unavailable(errors.New("jetstream: other nodes were first each time"))
}

// yield lets other nodes write to a topic to which they did of late; took is how
// long a record takes.
func (l *Log) yield(t *topic, took time.Duration) {
	t.mu.Lock()
	shared := time.Since(t.others) < yieldFor
	t.mu.Unlock()
	if shared {
		wait(l.calls.Life(), rand.N(min(took, yieldMost)+1))
	}
}

// store publishes the record of a plan.
func (l *Log) store(t *topic, p *plan) error {
	var err error
	if p.record.does == doesAdd {
		bodies := make([][]byte, len(p.msgs))
		for i, m := range p.msgs {
			bodies[i] = m.Body
		}
		if p.record.pieces, err = l.cut(l.calls.Life(), t, kindPart, bodies); err != nil {
			return err
		}
	}
	data := p.record.encode()
	if int64(len(data)) > l.conn.MaxPayload() {
		return messaging.ErrTooLarge // the IDs alone
	}
	seq, err := l.publish(l.calls.Life(), l.subjectOf(t, kindLog), &p.behind, false, data)
	if err == nil {
		t.mu.Lock()
		if t.state.last == p.behind {
			t.state.apply(p.record, seq)
		}
		t.mu.Unlock()
	} else if !errors.Is(err, messaging.ErrUncertain) {
		l.uncut(t, p.record.pieces)
	} else {
		t.mu.Lock()
		t.session = 0 // what is there must be looked at
		t.mu.Unlock()
	}
	if err == nil || errors.Is(err, messaging.ErrUncertain) {
		l.calls.Publish(t.name)
	}
	return err
}
