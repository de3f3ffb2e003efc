package messaging

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/lodge-gateway/lodge"
)

// maxLive is how many unstored frames may wait for a connection before it is
// closed as too slow.
const maxLive = 256

// pageSize is how many entries of one topic are delivered before it is the next
// topic's turn.
const pageSize = 64

// A transport carries frames to one client. Only the connection's own goroutine
// calls it.
type transport interface {
	// write sends one frame within the write limit; id is where a client that
	// got it goes on, "" for a frame that is not stored.
	write(frame []byte, id string) error
	// beat tries whether the client is there and calls alive when it knows; it
	// does not wait for that.
	beat(ctx context.Context, alive func()) error
	// ids reports whether write wants ids.
	ids() bool
}

// A hubConn is one message connection. Its own goroutine (run) reads topics and
// writes frames; others only leave word for it and wake it.
type hubConn struct {
	hub     *Hub
	tenant  lodge.Tenant   // static, as are session and person
	session string         //
	person  lodge.PersonID //
	started time.Time
	limiter *rate.Limiter // owned by the reader
	unwatch func()
	out     transport

	wake  chan struct{} // capacity 1: look at everything again
	stale atomic.Bool   // membership must be derived again before the next frame
	lost  atomic.Bool   // whoever watches the session cannot tell any more whether it is good
	seen  atomic.Int64  // when the client last showed life, Unix microseconds

	present bool // guarded by Hub.mu: admitted, so the person is there

	// Owned by run.
	topics   []*delivery
	resume   map[string]Pos // positions of topics that are not delivered
	unsure   time.Time      // since when membership cannot be read; else zero
	caughtUp bool
	troubled bool // something could not be reached: everything is tried again after a pause

	mu       sync.Mutex // guards what follows
	sub      Subscriber
	narrowed map[string]bool // nil: not narrowed
	sent     map[string]Pos  // by topic delivered now: up to where it was sent
	live     []liveFrame
	overrun  bool // live frames had to be turned away
}

// A liveFrame is a frame that is not stored; topic is "" for one that concerns
// the connection itself.
type liveFrame struct {
	topic string
	bytes []byte
}

func (c *hubConn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
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

// offer leaves a live frame for run if the topic is delivered.
func (c *hubConn) offer(topic string, b []byte) {
	c.mu.Lock()
	_, delivered := c.sent[topic]
	if topic == "" || delivered {
		if len(c.live) < maxLive {
			c.live = append(c.live, liveFrame{topic, b})
		} else {
			c.overrun = true
		}
	}
	c.mu.Unlock()
	c.poke()
}

// run delivers until the connection must end and returns why: an *ending, or
// the error of a write.
func (c *hubConn) run(ctx context.Context) error {
	heartbeat := time.NewTicker(c.hub.opts.PingEvery)
	defer heartbeat.Stop()
	var retry <-chan time.Time
	for {
		busy, err := c.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		if c.troubled && retry == nil {
			retry = time.After(c.hub.opts.RetryEvery)
		}
		if busy {
			c.poke() // so that an end is noticed before the next turn, and no later
		}
		select {
		case <-c.hub.draining:
			return endGoingAway
		default:
		}
		select {
		case <-c.wake:
		case <-retry:
			retry, c.troubled = nil, false
			c.stale.Store(true)
		case <-heartbeat.C:
			c.stale.Store(true)
			if err := c.out.beat(ctx, c.alive); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.hub.draining:
			return endGoingAway
		}
	}
}

// turn does one round: membership, then a page of each topic, then what is
// live. It reports whether there may be more to do at once.
func (c *hubConn) turn(ctx context.Context) (busy bool, err error) {
	if err := c.follow(ctx); err != nil {
		return false, err
	}
	for _, d := range c.topics {
		more, err := c.deliver(ctx, d)
		if err != nil {
			return false, err
		}
		busy = busy || more
	}
	if err := c.deliverLive(); err != nil {
		return false, err
	}
	if busy || c.caughtUp || c.troubled || c.stale.Load() {
		return busy, nil
	}
	c.caughtUp = true
	b, err := c.caughtUpFrame()
	if err != nil {
		return false, err
	}
	return false, c.out.write(b, c.resumeID())
}

// deliverLive writes the frames that are not stored, of topics that are still
// delivered.
func (c *hubConn) deliverLive() error {
	c.mu.Lock()
	live, overrun := c.live, c.overrun
	c.live = nil
	c.mu.Unlock()
	if overrun {
		return endTooSlow
	}
	for i, f := range live {
		if c.stale.Load() { // what is left waits for current membership
			c.mu.Lock()
			c.live = append(live[i:], c.live...)
			c.mu.Unlock()
			return nil
		}
		if f.topic != "" && !c.delivers(f.topic) {
			continue // theirs no longer
		}
		if err := c.out.write(f.bytes, ""); err != nil {
			return err
		}
	}
	return nil
}

func (c *hubConn) delivers(topic string) bool {
	return slices.ContainsFunc(c.topics, func(d *delivery) bool { return d.name == topic })
}

func (c *hubConn) resumeID() string {
	if !c.out.ids() {
		return ""
	}
	return formatCursors(c.cursors())
}

// alive notes that the client showed life.
func (c *hubConn) alive() { c.seen.Store(c.hub.clock.Now().UnixMicro()) }

func (c *hubConn) subscriber() Subscriber {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sub
}
