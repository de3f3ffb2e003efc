package messaging

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Limits of what one append to the back end takes; a single call may exceed the
// first.
const (
	maxBatch      = 256     // messages
	maxBatchBytes = 4 << 20 // of bodies
)

// An appender serialises this node's appends to one topic. There is no
// goroutine: of the callers that wait, one at a time takes the turn and appends
// what all of them brought.
type appender struct {
	t    *Topics
	s    *sealer
	refs int           // guarded by Topics.mu
	turn chan struct{} // capacity 1: filled by who appends

	mu    sync.Mutex
	queue []*appendCall // not taken by anyone yet; guarded by mu
}

// An appendCall is what one caller appends. Until done is closed, its fields
// belong to who has the turn once it has taken the call from the queue.
type appendCall struct {
	msgs      []*pendingMsg
	bytes     int
	uncertain bool          // the outcome of an attempt was not known
	err       error         // the outcome
	done      chan struct{} // closed when the outcome is there
}

// A pendingMsg is a message on its way.
type pendingMsg struct {
	Message
	fresh bool  // its ID is random and was in no attempt of unknown outcome
	tried []Tag // the tags it had in attempts of unknown outcome
	known bool  // at is set
	at    Appended
}

func newAppendCall(msgs []Message) (*appendCall, error) {
	c := &appendCall{done: make(chan struct{})}
	for _, m := range msgs {
		if len(m.Body) > MaxMessage {
			return nil, fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrTooLarge, len(m.Body), MaxMessage)
		}
		p := &pendingMsg{Message: m}
		if p.ID == "" {
			p.ID, p.fresh = newID(), true
		}
		c.msgs = append(c.msgs, p)
		c.bytes += len(m.Body)
	}
	return c, nil
}

func (c *appendCall) added() []Appended {
	added := make([]Appended, len(c.msgs))
	for i, m := range c.msgs {
		added[i] = m.at
	}
	return added
}

// settle hands a call back to its caller.
func (c *appendCall) settle(err error) {
	if err != nil && c.uncertain && !errors.Is(err, ErrUncertain) {
		err = fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	c.err = err
	close(c.done)
}

// acquire returns the appender of a topic; release gives it back.
func (t *Topics) acquire(s *sealer) *appender {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.appenders[s.topic]
	if !ok {
		a = &appender{t: t, s: s, turn: make(chan struct{}, 1)}
		t.appenders[s.topic] = a
	}
	a.refs++
	return a
}

func (t *Topics) release(a *appender) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.refs--
	if a.refs == 0 {
		delete(t.appenders, a.s.topic)
	}
}

// add appends a call's messages, and returns its outcome.
func (a *appender) add(ctx context.Context, c *appendCall) error {
	a.mu.Lock()
	a.queue = append(a.queue, c)
	a.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
		a.lead(ctx, c)
		return c.err
	case <-ctx.Done():
		if a.withdraw(c) {
			return ctx.Err()
		}
		select {
		case <-c.done:
			return c.err
		default:
			return fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
		}
	}
}

// addIf appends a call's messages if the head is exactly head.
func (a *appender) addIf(ctx context.Context, c *appendCall, head Pos) error {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.settle(a.flush(ctx, []*appendCall{c}, &head))
	return c.err
}

// lead appends what is in the queue until own is settled. The caller has the
// turn. Should ctx end first, the others' calls stay in the queue for the next
// one to lead.
func (a *appender) lead(ctx context.Context, own *appendCall) {
	for {
		select {
		case <-own.done:
			return
		default:
		}
		calls := a.take()
		err := a.flush(ctx, calls, nil)
		if err != nil && ctx.Err() != nil {
			others := slices.DeleteFunc(calls, func(c *appendCall) bool { return c == own })
			a.mu.Lock()
			a.queue = append(others, slices.DeleteFunc(a.queue, func(c *appendCall) bool { return c == own })...)
			a.mu.Unlock()
			own.settle(err)
			return
		}
		for _, c := range calls {
			c.settle(err)
		}
	}
}

// take takes the next batch of calls from the queue.
func (a *appender) take() []*appendCall {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, msgs, bytes := 0, 0, 0
	for n < len(a.queue) {
		msgs += len(a.queue[n].msgs)
		bytes += a.queue[n].bytes
		if n > 0 && (msgs > maxBatch || bytes > maxBatchBytes) {
			break
		}
		n++
	}
	calls := slices.Clone(a.queue[:n])
	a.queue = slices.Delete(a.queue, 0, n)
	return calls
}

// withdraw reports whether it could take the call back before anyone took it.
func (a *appender) withdraw(c *appendCall) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.queue)
	a.queue = slices.DeleteFunc(a.queue, func(q *appendCall) bool { return q == c })
	return len(a.queue) < n
}
