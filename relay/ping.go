package relay

import (
	"context"
	"sync"
	"time"
)

// A pinger finds out whether a silent connection is still there, and keeps the
// boxes on the way from forgetting it. It takes no goroutine between two pings.
type pinger struct {
	mu      sync.Mutex
	stopped bool        // guarded by mu
	timer   *time.Timer // guarded by mu
	running sync.WaitGroup
}

func (g *pinger) start(p *peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer = time.AfterFunc(p.relay.opts.PingEvery, func() { g.fire(p) })
}

func (g *pinger) fire(p *peer) {
	g.mu.Lock()
	if g.stopped {
		g.mu.Unlock()
		return
	}
	g.running.Add(1)
	g.mu.Unlock()
	defer g.running.Done()

	if p.ending.Load() != nil {
		return // linger bounds the rest
	}
	if !p.alive() && p.ending.Load() == nil {
		p.shut(0, "")
		p.sever()
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopped {
		g.timer.Reset(p.relay.opts.PingEvery)
	}
}

// stop ends the pings and waits for the one under way, whose context is ended.
func (g *pinger) stop() {
	g.mu.Lock()
	g.stopped = true
	g.timer.Stop()
	g.mu.Unlock()
	g.running.Wait()
}

// alive pings the other side. One that does not answer in time is alive
// nevertheless if it has sent or taken bytes meanwhile: with a slow reader the
// ping waits behind the messages.
func (p *peer) alive() bool {
	w := p.wire.Load()
	in, out := w.in.Load(), w.out.Load()
	ctx, cancel := context.WithTimeout(p.ctx, p.relay.opts.PingWait)
	defer cancel()
	return p.ws.Ping(ctx) == nil || w.in.Load() != in || w.out.Load() != out
}
