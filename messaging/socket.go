package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/ws"
)

// inboxLimit is how long an answer or a mark may take.
const inboxLimit = 10 * time.Second

// ServeWS makes a websocket of a request and returns; the hub serves it until it
// ends. The gateway has authenticated the session and checked Origin. The
// query's resume (repeated, or joined by commas) says where the client was:
// topic~position, topic URL-escaped.
//
// An error, a *lodge.Error, means that the connection was refused before the
// upgrade and that nothing has been answered.
func (h *Hub) ServeWS(w http.ResponseWriter, r *http.Request, sub Subscriber) error {
	if status, why := ws.Check(w, r); status != 0 {
		http.Error(w, why, status)
		return nil
	}
	c, err := h.admit(r, sub)
	if err != nil {
		return err
	}
	wire, err := takeOver(w, r)
	if err != nil {
		h.leave(c)
		return lodge.Wrap(lodge.CodeInternal, "the connection cannot be made a websocket", err)
	}
	s := &socket{conn: c, wire: wire}
	s.in.from = wire
	c.out = s
	h.tasks.Go(s.read)
	c.attend(errWait) // what is there already
	return nil
}

// A socket is the websocket transport. Its reader is its only goroutine as long
// as there is nothing else to wait for.
type socket struct {
	conn    *hubConn
	wire    *wireConn
	closing atomic.Bool  // a close frame was sent, or answered
	in      socketReader // owned by the reader
}

// ping is a ping frame without a payload.
var ping = &frame{wire: []byte{0x89, 0}, head: 2}

func (s *socket) ids() bool  { return false }
func (s *socket) owes() bool { return s.wire.owes() }

func (s *socket) flush() error { return s.wire.flush(s.conn.hub.opts.WriteLimit) }

func (s *socket) send(w *writer, frames []*frame, wire []byte, _ func() string) (int, error) {
	return s.wire.offer(&w.try, frames, wire)
}

// beat sends a ping, unless one is out already.
func (s *socket) beat(w *writer) error {
	if s.conn.asked.Load() != 0 {
		return nil
	}
	w.frames = append(w.frames[:0], ping)
	s.conn.asked.Store(time.Now().UnixNano()) // the answer may be here before we are back
	sent, err := s.wire.offer(&w.try, w.frames, ping.wire)
	if sent == 0 {
		s.conn.asked.Store(0) // another control frame is being written; the next period tries again
	}
	return err
}

// close ends the websocket and with it the reader: with a close frame that says
// why when the hub ended it, else at once.
func (s *socket) close(why error) {
	e, ok := errors.AsType[*ending](why)
	if !ok || s.sayClose(e.code, e.reason) != nil {
		// The client is gone or does not read: there is nobody to tell.
		_ = s.wire.Close()
	}
}

// read handles client frames until the websocket ends. What it finds wrong with
// one ends the websocket in its turn.
func (s *socket) read() {
	c := s.conn
	for {
		op, b, err := s.in.next(s.control)
		if broken, ok := errors.AsType[*ws.Breach](err); ok {
			if s.sayClose(broken.Code, broken.Reason) == nil {
				s.wire.drain()
			}
		}
		if err != nil {
			break
		}
		if s.closing.Load() {
			continue // it is read to its end for the closing handshake's sake
		}
		c.alive()
		if why := c.receive(op, b); why != nil {
			c.refuse(why)
		}
	}
	c.gone()
	_ = s.wire.Close() // it may be closed already
}

// receive handles a client frame, and returns why it ends the connection, or
// nil.
func (c *hubConn) receive(op byte, b []byte) *ending {
	if c.refused.Load() != nil {
		return nil // it is ending, and read to its end for the closing handshake's sake
	}
	if c.limiter == nil {
		c.limiter = rate.NewLimiter(c.hub.opts.FrameRate, c.hub.opts.FrameBurst)
	}
	switch {
	case op != ws.OpText:
		return endBinary
	case !c.limiter.Allow():
		return endTooMany
	}
	f, err := parseClientFrame(b)
	switch {
	case errors.Is(err, errFrameSyntax):
		return endSyntax
	case err != nil:
		return &ending{code: websocket.StatusPolicyViolation, reason: err.Error()}
	}
	switch f.Type {
	case frameAck, frameRead:
		c.acknowledge(f.Topic, f.pos, f.Type == frameRead)
	case frameNarrow:
		c.narrow(f.Topics)
	case frameAnswer:
		c.reply(f, c.hub.inbox.Answer)
	case frameMark:
		c.reply(f, c.hub.inbox.Mark)
	}
	return nil
}

// refuse has the connection end.
func (c *hubConn) refuse(why *ending) {
	c.refused.Store(why)
	c.interrupt()
	c.poke()
}

// acknowledge moves the person's receipt cursor. A position that was not
// delivered on this connection moves nothing: the topic may have been taken
// away in between, or the client is wrong.
func (c *hubConn) acknowledge(topic string, pos Pos, read bool) {
	c.mu.Lock()
	var sent Pos
	if d := c.delivery(topic); d != nil {
		topic, sent = d.feed.key.topic, d.cursor
	}
	c.mu.Unlock()
	if pos.Epoch == sent.Epoch && pos.Seq <= sent.Seq {
		c.hub.receipts.move(c.tenant, topic, c.person, pos, read)
	}
}

// reply passes a frame to the inbox and leaves the reply for the next turn.
func (c *hubConn) reply(f clientFrame, ask func(context.Context, Subscriber, json.RawMessage) (json.RawMessage, error)) {
	// The request is over and its context with it; the connection is not.
	ctx, cancel := context.WithTimeout(context.Background(), inboxLimit)
	defer cancel()
	c.mu.Lock()
	c.asking = cancel
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.asking = nil
		c.mu.Unlock()
	}()
	data, err := ask(ctx, c.subscriber(), f.Data)
	w := Event{ID: f.ID, Type: TypeReply, Source: EventSource + "/replies", Time: c.hub.clock.Now(), Data: data}.wire("", "", "")
	if err != nil {
		w.Data, w.DataContentType = nil, ""
		w.ErrorCode, w.Error = lodge.CodeInternal, "something went wrong; try again"
		if e, ok := errors.AsType[*lodge.Error](err); ok {
			w.ErrorCode, w.Error = e.Code, e.Safe
		}
		if w.ErrorCode == lodge.CodeInternal {
			c.hub.opts.Logger.ErrorContext(ctx, "messages: a client frame failed", "type", f.Type, "error", err)
		}
	}
	b, err := w.marshal()
	if err != nil {
		c.hub.opts.Logger.ErrorContext(ctx, "messages: a reply cannot be encoded", "type", f.Type, "error", err)
		return
	}
	c.offer("", newFrame(b))
}
