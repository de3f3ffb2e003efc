package messaging

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/lodge-gateway/lodge"
)

// maxLive is how many unstored frames may wait for a connection before it is
// closed as too slow.
const maxLive = 256

// A transport carries frames to one client. Only who does the connection's turn
// calls it.
type transport interface {
	// owes reports whether something must be flushed before anything is sent.
	owes() bool
	// send sends frames in order, of which wire is the bytes in one piece, and
	// returns how many of them the client gets, if need be after a flush. It does
	// not wait, unless it wants ids: then it sends one frame, within the write
	// limit, and id says where a client that got it goes on, "" for nowhere new.
	send(w *writer, frames []*frame, wire []byte, id func() string) (sent int, err error)
	// flush waits until the client has taken what was sent, up to the write limit.
	flush() error
	// beat tries whether the client is there; it does not wait for the answer.
	beat(w *writer) error
	// ids reports whether send wants ids, and takes its time.
	ids() bool
	// close ends the connection and says why.
	close(why error)
}

// errWait says that a turn cannot go on without waiting.
var errWait = errors.New("messaging: this has to wait")

// errMute is why a client ends that does not answer pings: there is nobody to
// tell.
var errMute = errors.New("messaging: the client does not answer")

// The states of a connection. Turns of one connection never overlap: who moves
// it from due to busy does the turn and owns what it is about.
const (
	connIdle  int32 = iota // nothing is to be done
	connDue                // a turn is to be done
	connBusy               // a turn is being done
	connAgain              // and another is to follow
	connOver               // the last turn was done, or the client has left
)

// A hubConn is one message connection. Whoever does its turn reads topics and
// writes frames: one of the hub's writers, or as long as there is something to
// wait for a goroutine of its own. Others only leave word for it and wake it.
type hubConn struct {
	hub     *Hub
	tenant  lodge.Tenant   // static, as are session, person and due
	session string         //
	person  lodge.PersonID //
	due     chan struct{}  // of a stream, whose handler does its turns; capacity 1
	out     transport      // set before the first turn
	started time.Time
	unwatch func()
	limiter *rate.Limiter // owned by the reader; made with the first frame

	state   atomic.Int32
	stale   atomic.Bool            // membership must be derived again before the next frame
	lost    atomic.Bool            // whoever watches the session cannot tell any more whether it is good
	beat    atomic.Bool            // it is time to see whether the client is there
	asked   atomic.Int64           // when it was asked whether it is and did not answer yet, Unix nanoseconds; else 0
	mute    atomic.Bool            // it did not answer in time
	rested  atomic.Bool            // the pause is over
	refused atomic.Pointer[ending] // the client broke a rule
	seen    atomic.Int64           // when the client last showed life, Unix microseconds

	slot, at int32 // its place in the hub's wheel; guarded by wheel.mu
	present  bool  // guarded by Hub.mu: admitted, so the person is there

	// Owned by the turn.
	begun    bool           // topics are those of sub
	caughtUp bool           //
	troubled bool           // something could not be reached: everything is tried again after a pause
	unsure   time.Time      // since when membership cannot be read; else zero
	retry    *time.Timer    // ends the pause; nil: there is none under way
	resume   map[string]Pos // positions of topics that are not delivered

	mu       sync.Mutex  // guards what follows
	topics   []*delivery // changed by the turn only, as are their cursors
	sub      Subscriber
	narrowed map[string]bool // nil: not narrowed
	live     []liveFrame
	overrun  bool               // live frames had to be turned away
	cancel   context.CancelFunc // ends what the turn, or the reader, waits for; nil: nothing
	asking   context.CancelFunc //
}

// A liveFrame is a frame that is not stored; topic is "" for one that concerns
// the connection itself.
type liveFrame struct {
	topic string
	frame *frame
}

// poke has a turn done: look at everything again.
func (c *hubConn) poke() {
	if c.rouse() {
		c.enqueue()
	}
}

// rouse notes that a turn is to be done. If it reports true, the caller is to
// enqueue the connection.
func (c *hubConn) rouse() bool {
	for {
		switch s := c.state.Load(); s {
		case connIdle:
			if c.state.CompareAndSwap(s, connDue) {
				return true
			}
		case connBusy:
			if c.state.CompareAndSwap(s, connAgain) {
				return false
			}
		default:
			return false
		}
	}
}

// enqueue passes a connection that is due to who does its turns.
func (c *hubConn) enqueue() {
	if c.due != nil {
		c.due <- struct{}{} // there is room: it is due only once
		return
	}
	c.hub.writers.add(c)
}

// hinted is what the connection's watch calls.
func (c *hubConn) hinted(err error) {
	if err != nil {
		c.lost.Store(true)
	}
	c.invalidate()
}

// invalidate has membership derived again before the next frame.
func (c *hubConn) invalidate() {
	c.stale.Store(true)
	c.poke()
}

// offer leaves a live frame for the next turn if the topic is delivered.
func (c *hubConn) offer(topic string, f *frame) {
	c.mu.Lock()
	if topic == "" || c.delivery(topic) != nil {
		if len(c.live) < maxLive {
			c.live = append(c.live, liveFrame{topic, f})
		} else {
			c.overrun = true
		}
	}
	c.mu.Unlock()
	c.poke()
}

// delivery returns that of a topic, or nil. The caller holds mu or does the turn.
func (c *hubConn) delivery(topic string) *delivery {
	for _, d := range c.topics {
		if d.feed.key.topic == topic {
			return d
		}
	}
	return nil
}

// serve does a turn as one of the hub's writers.
func (c *hubConn) serve(w *writer) {
	if !c.state.CompareAndSwap(connDue, connBusy) {
		return // it is over
	}
	busy, err := c.turn(context.Background(), w, false)
	switch {
	case err != nil: // to wait, or to take leave, which takes time as well
		c.hub.tasks.Go(func() { c.attend(err) })
	case c.settle(busy):
		c.enqueue()
	}
}

// settle ends a turn. It reports whether the connection is due again; when it is
// over instead, nothing is left of it.
func (c *hubConn) settle(busy bool) (again bool) {
	for {
		s := c.state.Load()
		switch {
		case s == connOver:
			c.hub.leave(c)
			return false
		case busy || s == connAgain:
			if c.state.CompareAndSwap(s, connDue) {
				return true
			}
		case c.state.CompareAndSwap(s, connIdle):
			return false
		}
	}
}

// attend does turns that may wait until nothing is left to do, in a goroutine of
// the connection's own. why is errWait, or how the connection is to end.
func (c *hubConn) attend(why error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.mu.Lock()
	c.cancel = cancel
	c.mu.Unlock()
	if c.state.Load() == connOver {
		cancel() // the client has left and found nothing to cancel
	}
	var w writer
	for busy := true; busy && errors.Is(why, errWait) && c.state.Load() != connOver; {
		if busy, why = c.turn(ctx, &w, true); why == nil {
			why = errWait
		}
		if c.state.CompareAndSwap(connAgain, connBusy) {
			busy = true
		}
	}
	c.mu.Lock()
	c.cancel = nil
	c.mu.Unlock()
	if !errors.Is(why, errWait) {
		if refused := c.refused.Load(); refused != nil {
			why = refused // which may be what ended the waiting
		}
		c.finish(why)
		return
	}
	if c.settle(false) {
		c.enqueue()
	}
}

// finish ends a connection whose turn the caller does. Its reader, which ends
// with it, is the one to leave unless it has ended before.
func (c *hubConn) finish(why error) {
	c.mu.Lock()
	if c.asking != nil {
		c.asking() // the reader is not to be waited for
	}
	c.mu.Unlock()
	c.out.close(why)
	if c.state.Swap(connOver) == connOver {
		c.hub.leave(c)
	}
}

// gone notes that the client has left: the reader has ended.
func (c *hubConn) gone() {
	switch c.state.Swap(connOver) {
	case connBusy, connAgain: // whoever does the turn leaves
		c.interrupt()
	default:
		c.hub.leave(c)
	}
}

// interrupt ends whatever the connection's turn waits for.
func (c *hubConn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}

// turn does one round: membership, then a batch of each topic, then what is
// live. It reports whether there may be more to do at once. When block is unset
// and it would have to wait, it returns errWait; any other error is why the
// connection must end: an *ending, or what became of a write.
func (c *hubConn) turn(ctx context.Context, w *writer, block bool) (busy bool, err error) {
	if refused := c.refused.Load(); refused != nil {
		return false, refused
	}
	switch {
	case c.mute.Load():
		return false, errMute
	case block:
		if err := c.out.flush(); err != nil {
			return false, err
		}
	case c.out.owes() || c.stale.Load() || !c.begun:
		return false, errWait
	}
	if c.hub.draining.Load() {
		return false, c.goAway(w, block)
	}
	if c.beat.Load() {
		if err := c.out.beat(w); err != nil {
			return false, err
		}
		c.beat.Store(false)
	}
	if block {
		if c.rested.Swap(false) {
			c.troubled, c.retry = false, nil
		}
		if err := c.follow(ctx); err != nil {
			return false, err
		}
	}
	for _, d := range c.topics {
		more, err := c.deliver(ctx, w, d, block)
		if err != nil {
			return false, err
		}
		busy = busy || more
	}
	if err := c.deliverLive(w, block); err != nil {
		return false, err
	}
	if c.troubled {
		c.pause()
	} else if !busy && !c.caughtUp && !c.stale.Load() {
		f, err := c.caughtUpFrame()
		if err == nil {
			err = c.send(w, f, true, block)
		}
		if err != nil {
			return false, err
		}
		c.caughtUp = true
	}
	if c.out.owes() {
		if !block {
			return false, errWait
		}
		busy = true
	}
	return busy, nil
}

// pause has everything tried again after a while.
func (c *hubConn) pause() {
	if c.retry != nil {
		return
	}
	c.retry = time.AfterFunc(c.hub.opts.RetryEvery, func() {
		c.rested.Store(true)
		c.invalidate()
	})
}

// deliverLive writes the frames that are not stored, of topics that are still
// delivered.
func (c *hubConn) deliverLive(w *writer, block bool) error {
	for {
		c.mu.Lock()
		overrun, left := c.overrun, len(c.live)
		var next liveFrame
		if left > 0 {
			next = c.live[0]
		}
		c.mu.Unlock()
		switch {
		case overrun:
			return endTooSlow
		case left == 0, c.stale.Load(): // what is left waits for current membership
			return nil
		}
		if next.topic == "" || c.delivery(next.topic) != nil { // else theirs no longer
			if err := c.send(w, next.frame, false, block); err != nil {
				return err
			}
		}
		c.mu.Lock()
		if c.live = c.live[1:]; len(c.live) == 0 {
			c.live = nil
		}
		c.mu.Unlock()
	}
}

// send sends one frame that is not an entry's. resume says that the client may
// go on behind it. With errWait nothing was sent.
func (c *hubConn) send(w *writer, f *frame, resume, block bool) error {
	w.frames = append(w.frames[:0], f)
	id := func() string {
		if !resume {
			return ""
		}
		return formatCursors(c.cursors())
	}
	for {
		sent, err := c.out.send(w, w.frames, f.wire, id)
		switch {
		case err != nil || sent == 1:
			return err
		case !block:
			return errWait
		}
		if err := c.out.flush(); err != nil {
			return err
		}
	}
}

// alive notes that the client showed life.
func (c *hubConn) alive() { c.seen.Store(c.hub.clock.Now().UnixMicro()) }

func (c *hubConn) subscriber() Subscriber {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sub
}
