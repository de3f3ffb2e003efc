package relay

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge/internal/ws"
)

// linger is how long a connection that is being ended may take over its close
// handshake before it is cut.
const linger = 2 * time.Second

// A peer is one connection. Once it is opened a goroutine of its own reads from it
// and owns it: that starts whatever else works for the peer, and does not end
// before all that has. While nothing waits to go out it is the only one.
type peer struct {
	relay       *Relay // static
	room        *room  // static once joined
	grant       atomic.Pointer[Grant]
	reads       atomic.Bool // may receive now
	writes      atomic.Bool // may send now
	opened      atomic.Bool
	connectedAt time.Time // static, like the next two
	address     string
	agent       string

	out    outbox
	count  counters
	lease  lease
	pings  pinger
	unlist []func() // owned by who opens the peer; undone by leave, last first

	ending  atomic.Pointer[ending]
	ctx     context.Context // of what is asked on the peer's behalf
	cancel  context.CancelFunc
	gone    chan struct{} // closed with the first call of shut
	cut     atomic.Pointer[time.Timer]
	done    chan struct{} // closed last of all
	stalled bool          // owned by the reader; see room.pace
}

// An ending says how a connection is ended; without a code, no close frame is
// sent, because the other side has gone or was told already.
type ending struct {
	code   websocket.StatusCode
	reason string
}

func (r *Relay) newPeer(req *http.Request, grant Grant) *peer {
	limit := r.opts.QueueMessages
	policy := r.opts.Policy(grant.Topic)
	if policy == DropOldest {
		limit = r.opts.LiveMessages
	}
	p := &peer{
		relay:       r,
		connectedAt: r.clock.Now(),
		address:     r.opts.Address(req),
		agent:       req.UserAgent(),
		gone:        make(chan struct{}),
		done:        make(chan struct{}),
	}
	p.out.wait = r.opts.WriteWait
	p.out.queue.policy, p.out.queue.maxBytes, p.out.queue.maxMessages = policy, r.opts.QueueBytes, limit
	p.grant.Store(&grant)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// adopt makes a grant the one that counts from now on.
func (p *peer) adopt(g Grant) {
	p.grant.Store(&g)
	p.reads.Store(g.Read)
	p.writes.Store(g.Write)
}

// limit is how large a message of the peer may be, in bytes.
func (p *peer) limit() int64 {
	return positive(p.grant.Load().MaxMessage, p.relay.opts.MaxMessage)
}

// onLeave has something undone when the peer leaves, or is not let in after all.
func (p *peer) onLeave(undo func()) { p.unlist = append(p.unlist, undo) }

// leave undoes what onLeave was told of.
func (p *peer) leave() {
	for i := len(p.unlist) - 1; i >= 0; i-- {
		p.unlist[i]()
	}
}

// shut ends the peer: from now on it neither sends nor receives, and its
// connection goes with a close frame, or without one soon after. Only the first
// call counts; none waits.
func (p *peer) shut(code websocket.StatusCode, reason string) {
	e := &ending{code, fit(reason)}
	if !p.ending.CompareAndSwap(nil, e) {
		return
	}
	p.reads.Store(false)
	p.writes.Store(false)
	close(p.gone)
	p.count.left.Add(uint64(p.out.close()))
	p.cut.Store(time.AfterFunc(linger, p.out.sever))
	if code != 0 {
		p.sayClose(ws.AppendClose(nil, code, e.reason))
	}
}

// lost gives a connection up that cannot be written to.
func (p *peer) lost() {
	p.shut(0, "")
	p.out.sever() // the reader is waiting for the other side
}

// unlinger lets go of the timer that shut has set, if it has.
func (p *peer) unlinger() {
	if t := p.cut.Load(); t != nil {
		t.Stop()
	}
}

// serve carries messages until the connection ends or is shut. ahead is what the
// client has sent already, asked when Access was asked about it last.
func (p *peer) serve(conn net.Conn, ahead []byte, asked time.Time) {
	p.openOutbox(conn)
	p.opened.Store(true)
	p.relay.changed(*p.grant.Load())
	if p.room.key.topic == StatsTopic {
		p.deliver(&ws.Writer{}, p.relay.stats(p.ctx, p.room.key.tenant))
	}
	p.lease.start(p, asked)
	p.pings.start(p)

	r := newReader(p, newIntake(conn, p.out.raw, ahead, &p.count.bytes))
	r.finish(r.run())
	p.out.join()
	p.cancel()
	p.pings.stop()
	_ = conn.Close() // often closed already
}
