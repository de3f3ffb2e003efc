package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

const (
	// linger is how long a connection that is being ended may take over its
	// close handshake before it is cut.
	linger = 2 * time.Second
	// messageWait is how long a message that has begun to arrive may take.
	messageWait = time.Minute
)

// A peer is one connection. The goroutine of its HTTP request reads from it and
// owns it: it starts whatever else works for the peer, and does not return
// before that has ended.
type peer struct {
	relay       *Relay // static
	room        *room  // static once joined
	grant       atomic.Pointer[Grant]
	reads       atomic.Bool // may receive now, and is opened
	writes      atomic.Bool // may send now
	opened      atomic.Bool
	connectedAt time.Time // static, like the next two
	address     string
	agent       string

	queue *queue
	count counters
	lease lease
	pings pinger

	ws   *websocket.Conn // static once opened
	wire atomic.Pointer[wire]

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
		queue:       newQueue(policy, r.opts.QueueBytes, limit),
		gone:        make(chan struct{}),
		done:        make(chan struct{}),
	}
	p.grant.Store(&grant)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// adopt makes a grant the one that counts from now on.
func (p *peer) adopt(g Grant) {
	p.grant.Store(&g)
	p.reads.Store(g.Read)
	p.writes.Store(g.Write)
	if p.opened.Load() {
		p.ws.SetReadLimit(p.limit())
	}
}

// limit is how large a message of the peer may be, in bytes.
func (p *peer) limit() int64 {
	return positive(p.grant.Load().MaxMessage, p.relay.opts.MaxMessage)
}

// shut ends the peer: from now on it neither sends nor receives, and its
// connection goes with a close frame, or without one soon after. Only the first
// call counts; none waits.
func (p *peer) shut(code websocket.StatusCode, reason string) {
	if !p.ending.CompareAndSwap(nil, &ending{code, fit(reason)}) {
		return
	}
	p.reads.Store(false)
	p.writes.Store(false)
	close(p.gone)
	p.count.left.Add(uint64(p.queue.close()))
	p.cut.Store(time.AfterFunc(linger, p.sever))
}

// sever cuts the connection, whatever it is doing.
func (p *peer) sever() {
	if w := p.wire.Load(); w != nil {
		_ = w.Conn.Close() // it is being given up, with whatever waits in it
	}
}

// unlinger lets go of the timer that shut has set, if it has.
func (p *peer) unlinger() {
	if t := p.cut.Load(); t != nil {
		t.Stop()
	}
}

// serve carries messages until the connection ends or is shut. asked is when
// Access was asked about it last.
func (p *peer) serve(w *wire, ws *websocket.Conn, asked time.Time) {
	p.ws = ws
	p.wire.Store(w)
	p.opened.Store(true)
	if p.room.key.topic == StatsTopic {
		p.deliver(p.relay.stats(p.ctx, p.room.key.tenant))
	}

	var writer sync.WaitGroup
	writer.Go(p.write)
	p.lease.start(p, asked)
	p.pings.start(p)

	err := p.read()
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		// The library has sent the close frame; what the client is still sending
		// is read and thrown away, or the frame would be lost to a reset.
		p.shut(websocket.StatusMessageTooBig, "")
	case errors.Is(err, errNotText):
		p.shut(StatusNotText, "A text message was not UTF-8; send such data as binary.")
	default:
		p.shut(0, "")
	}
	writer.Wait()
	p.cancel()
	p.pings.stop()
	_ = ws.CloseNow() // usually closed already
}

var errNotText = errors.New("text message is not UTF-8")

// read hands on what the client sends.
func (p *peer) read() error {
	var buf []byte // grows with the client's messages, and is dropped when large
	for {
		kind, r, err := p.ws.Reader(context.Background()) // ended by closing the wire
		if err != nil {
			return err
		}
		if buf, err = p.readAll(buf[:0], r); err != nil {
			return err
		}
		if kind == websocket.MessageText && !utf8.Valid(buf) {
			return errNotText
		}
		p.count.in.Add(1)
		if p.ending.Load() != nil {
			continue // too late; what matters now is the other side's close frame
		}
		if p.room.key.topic == StatsTopic {
			p.command(buf)
			continue
		}
		if !p.writes.Load() {
			p.count.refused.Add(1)
			continue
		}
		m := message{kind: kind, data: buf}
		if len(buf) > batchBytes {
			buf = nil // sharing it is cheaper than copying it
		} else {
			m.data = bytes.Clone(buf)
		}
		p.room.send(p, m)
	}
}

// readAll reads a message into buf. A message that is long in coming ends the
// connection, so that nobody holds memory by dribbling.
func (p *peer) readAll(buf []byte, r io.Reader) ([]byte, error) {
	if buf == nil {
		buf = make([]byte, 0, 512)
	}
	timed := false
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		if len(buf) >= readBuffer && !timed {
			timed = true
			if err := p.wire.Load().SetReadDeadline(time.Now().Add(messageWait)); err != nil {
				return buf, err
			}
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			if timed {
				err = p.wire.Load().SetReadDeadline(time.Time{})
			} else {
				err = nil
			}
			return buf, err
		}
		if err != nil {
			return buf, err
		}
	}
}

// write sends what is queued, several messages in one go when several wait, and
// at last the close frame.
func (p *peer) write() {
	var batch []message
	var freed, open bool
	for {
		batch, freed, open = p.queue.take(batch[:0], batchBytes)
		if freed {
			p.room.moved()
		}
		if !open {
			p.sayGoodbye()
			return
		}
		if len(batch) == 0 {
			<-p.queue.wake
			continue
		}
		if err := p.writeBatch(batch); err != nil {
			p.count.left.Add(uint64(len(batch)))
			if p.wire.Load().broken.Load() {
				p.shut(0, "")
				p.sever() // the reader is waiting for the other side
				return
			}
			// Only the websocket is closed, by its other half: the reader notices.
			<-p.gone
			p.sayGoodbye()
			return
		}
		p.count.out.Add(uint64(len(batch)))
		clear(batch) // let go of the data
	}
}

func (p *peer) writeBatch(batch []message) error {
	w := p.wire.Load()
	w.cork()
	for _, m := range batch {
		// Without a deadline: the wire has its own.
		if err := p.ws.Write(context.Background(), m.kind, m.data); err != nil {
			return errors.Join(err, w.uncork())
		}
	}
	return w.uncork()
}

// sayGoodbye does the close handshake, for as long as sever allows.
func (p *peer) sayGoodbye() {
	if e := p.ending.Load(); e.code != 0 {
		_ = p.ws.Close(e.code, e.reason) // there is nobody left to tell
	}
}
