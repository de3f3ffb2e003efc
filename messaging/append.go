package messaging

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Limits of what one append to the back end takes; a single call may exceed the
// first.
const (
	maxBatch      = 256     // messages
	maxBatchBytes = 4 << 20 // of bodies
)

const (
	uncertainTries = 5  // of one batch, before its callers are told
	probesAtOnce   = 16 // calls to the back end
)

// never is a head that no topic has. An append on condition of it adds nothing
// and succeeds just if all its IDs are there already: it asks for an ID.
var never = Pos{Epoch: math.MaxInt64, Seq: math.MaxInt64, Tag: Tag{'n', 'e', 'v', 'e', 'r'}}

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
	for try := 0; ; try++ {
		head, err := a.headFor(ctx, cond, try)
		if err != nil {
			return err
		}
		err = a.attempt(ctx, calls, todo, head)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrDropped) {
			return err
		}
		a.t.n.conflicts.Add(1)
		if cond != nil {
			return ErrConflict
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	for _, m := range repeats {
		m.at = Appended{Pos: first[m.ID].at.Pos, Duplicate: true}
		a.t.n.duplicates.Add(1)
	}
	return nil
}

// headFor returns the head to append behind: the condition, what this node saw
// there last, or, after that turned out stale, what the back end says.
func (a *appender) headFor(ctx context.Context, cond *Pos, try int) (Pos, error) {
	if cond != nil {
		return *cond, nil
	}
	if head, ok := a.t.head.get(a.s.topic); ok && try == 0 {
		return head, nil
	}
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
	if err := a.findKnown(ctx, msgs); err != nil {
		return err
	}
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

// findKnown finds the messages that are in the topic already. They must not be
// in a batch in front of new ones: the back end would leave them out, and what
// comes behind would be sealed to follow on something that is not there. Only
// the last message needs no asking. The answers hold for as long as the head,
// which was read before, is the same.
func (a *appender) findKnown(ctx context.Context, msgs []*pendingMsg) error {
	last := len(msgs) - 1
	for last >= 0 && msgs[last].known {
		last--
	}
	if last < 0 {
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(probesAtOnce)
	for _, m := range msgs[:last] {
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
			return nil
		})
	}
	return g.Wait()
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

// maxHeads bounds a headCache.
const maxHeads = 16384

// A headCache remembers the heads that this node's appends saw last. A stale or
// missing one costs a call, nothing more.
type headCache struct {
	mu    sync.Mutex
	heads map[Topic]Pos // guarded by mu
}

func (c *headCache) get(topic Topic) (Pos, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, ok := c.heads[topic]
	return head, ok
}

func (c *headCache) set(topic Topic, head Pos) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.heads[topic]; !ok && len(c.heads) >= maxHeads {
		for other := range c.heads { // whichever comes first
			delete(c.heads, other)
			break
		}
	}
	c.heads[topic] = head
}
