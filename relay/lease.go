package relay

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// lastWord is how much longer than its end a grant is believed in while Access
// is asked whether the end has moved.
const lastWord = time.Second

// A lease keeps asking Access whether its peer's grant is still good: after
// every hint, when the grant ends, and every few seconds. At most one question
// is under way.
type lease struct {
	mu      sync.Mutex
	started bool // guarded by mu, as the rest
	stopped bool
	running bool        // a goroutine is asking
	again   bool        // something may have changed since it began
	timer   *time.Timer // the next question
	good    time.Time   // when the last good answer was asked for
	asking  sync.WaitGroup
}

// start takes over from the question that was asked before the connection was
// opened, at the given time, and with the hints that have come meanwhile.
func (l *lease) start(p *peer, asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started, l.good = true, asked
	if l.again {
		l.again = false
		l.runLocked(p)
		return
	}
	l.armLocked(p)
}

// stop ends the lease and waits for the question under way, whose context is
// ended.
func (l *lease) stop() {
	l.mu.Lock()
	l.stopped = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.asking.Wait()
}

// check asks soon whether the grant is still good. It does not block.
func (p *peer) check() {
	l := &p.lease
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopped || p.ending.Load() != nil:
	case l.running || !l.started:
		l.again = true
	default:
		l.runLocked(p)
	}
}

func (l *lease) runLocked(p *peer) {
	l.running = true
	l.asking.Go(func() { l.run(p) })
}

func (l *lease) run(p *peer) {
	for {
		p.renew()
		l.mu.Lock()
		if !l.again || l.stopped {
			l.running = false
			l.armLocked(p)
			l.mu.Unlock()
			return
		}
		l.again = false
		l.mu.Unlock()
	}
}

// armLocked sets the timer to the next moment at which the answer may be
// another one: the grant's end, the lease's, or the next poll, which begins early
// enough to be answered within LeasePoll. Polls are spread a little, so that those
// who came together do not ask together for ever.
func (l *lease) armLocked(p *peer) {
	if l.stopped || p.ending.Load() != nil {
		return
	}
	poll := p.relay.opts.LeasePoll * 9 / 10
	next := poll - rand.N(poll/5+1)
	next = min(next, time.Until(l.good.Add(p.relay.opts.LeaseGrace)))
	if ends := p.grant.Load().Ends; !ends.IsZero() {
		next = min(next, ends.Sub(p.relay.clock.Now()))
	}
	next = max(next, time.Millisecond)
	if l.timer == nil {
		l.timer = time.AfterFunc(next, p.check)
	} else {
		l.timer.Reset(next)
	}
}

// renew asks once and acts on the answer.
func (p *peer) renew() {
	asked := time.Now()
	l := &p.lease
	lost := l.lastGood().Add(p.relay.opts.LeaseGrace)
	ctx, cancel := context.WithTimeout(p.ctx, p.patience(asked, lost))
	defer cancel()

	g, err := p.relay.ask(ctx, *p.grant.Load())
	now := p.relay.clock.Now()
	if err == nil {
		l.setGood(asked)
		if p.ending.Load() == nil {
			p.adopt(g)
		}
		if g.ended(now) {
			p.shut(StatusExpired, reasonEnded)
		}
		return
	}
	if refusal, ok := refusalOf(err); ok {
		p.shut(refusal.Close, refusal.Reason)
		return
	}
	if p.ctx.Err() != nil {
		return // the peer has gone
	}
	switch {
	case p.grant.Load().ended(now):
		p.shut(StatusExpired, reasonEnded)
	case !time.Now().Before(lost):
		p.relay.opts.Logger.Warn("relay: connection closed because its session could not be checked",
			"topic", p.room.key.topic, "session", p.grant.Load().Session, "err", err)
		p.shut(StatusLeaseLost, "Lodge could not check that this code is still good; connect again in a moment.")
	}
}

// patience is how long an answer is waited for: never so long that the
// connection outlives its lease, or its grant by more than a last word.
func (p *peer) patience(asked, lost time.Time) time.Duration {
	d := min(p.relay.opts.LeasePoll, lost.Sub(asked))
	if ends := p.grant.Load().Ends; !ends.IsZero() {
		d = min(d, ends.Sub(p.relay.clock.Now())+lastWord)
	}
	return max(d, 50*time.Millisecond)
}

func (l *lease) lastGood() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.good
}

func (l *lease) setGood(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.good = t
}

const reasonEnded = "The time on this experiment is over; book again to continue."

// ask reads a grant again, and sees to it that the answer is about the same
// thing and gives any right at all.
func (r *Relay) ask(ctx context.Context, old Grant) (Grant, error) {
	g, err := r.access.Renew(ctx, old)
	if err != nil {
		return Grant{}, err
	}
	return g, sound(g, old.Tenant, old.Topic)
}

// sound checks an answer of Access.
func sound(g Grant, tenant lodge.Tenant, topic string) error {
	if g.Tenant != tenant || g.Topic != topic || !g.Read && !g.Write && !g.Held {
		return &Refusal{StatusRevoked, "This code gives no right to this relay topic."}
	}
	return nil
}
