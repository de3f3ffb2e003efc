package relay

import (
	"sync"
	"time"

	"github.com/lodge-gateway/lodge/internal/ws"
)

// A pinger finds out whether a silent connection is still there, and keeps the
// boxes on the way from forgetting it. It takes no goroutine between two pings.
type pinger struct {
	mu      sync.Mutex
	stopped bool        // guarded by mu, as the rest
	timer   *time.Timer // the next ping, or the end of the wait for an answer
	waiting bool        // a ping is out
	in, out uint64      // bytes when it was sent
}

func (g *pinger) start(p *peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer = time.AfterFunc(p.relay.opts.PingEvery, func() { g.fire(p) })
}

// fire sends a ping, or looks whether the other side has moved since the last. One
// that has not answered is alive nevertheless if it has sent or taken bytes
// meanwhile: with a slow reader the ping waits behind the messages.
func (g *pinger) fire(p *peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped || p.ending.Load() != nil {
		return // linger bounds the rest
	}
	in, out := p.bytes()
	if !g.waiting {
		g.waiting, g.in, g.out = true, in, out
		p.sendControl(ws.OpPing, nil)
		g.timer.Reset(p.relay.opts.PingWait)
		return
	}
	if in == g.in && out == g.out {
		p.lost()
		return
	}
	g.waiting = false
	g.timer.Reset(max(p.relay.opts.PingEvery-p.relay.opts.PingWait, p.relay.opts.PingEvery/10))
}

// stop ends the pings, and waits for what one is doing.
func (g *pinger) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	g.timer.Stop()
}
