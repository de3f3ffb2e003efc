package messaging

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/lodge-gateway/lodge"
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
	c, err := h.admit(r, sub)
	if err != nil {
		return err
	}
	s := &socket{conn: c}
	hijacking := &hijacker{ResponseWriter: w}
	s.ws, err = websocket.Accept(hijacking, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the gateway compares Origin with its exact list
		CompressionMode:    websocket.CompressionDisabled,
		OnPongReceived:     s.pong,
	})
	if err != nil {
		h.leave(c)
		return nil // Accept has answered
	}
	s.ws.SetReadLimit(maxFrame)
	s.wire = hijacking.wire
	c.out = s
	h.tasks.Go(s.read)
	c.attend(errWait) // what is there already
	return nil
}

// A hijacker gives the library the connection of a request in a form of our own.
type hijacker struct {
	http.ResponseWriter
	wire *wireConn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	wire, rw, err := takeOver(h.ResponseWriter)
	if err != nil {
		return nil, nil, err
	}
	h.wire = wire
	return wire, rw, nil
}

// A socket is the websocket transport. Its reader is its only goroutine as long
// as there is nothing else to wait for.
type socket struct {
	conn *hubConn
	ws   *websocket.Conn
	wire *wireConn
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

func (s *socket) pong(context.Context, []byte) {
	s.conn.asked.Store(0)
	s.conn.alive()
}

// close ends the websocket and with it the reader: with a close frame that says
// why when the hub ended it, else at once.
func (s *socket) close(why error) {
	var err error
	if e, ok := errors.AsType[*ending](why); ok {
		err = s.ws.Close(e.code, e.reason)
	}
	if err != nil || !isEnding(why) {
		// The client is gone or does not read: there is nobody to tell.
		_ = s.ws.CloseNow()
	}
}

// read handles client frames until the websocket ends. What it finds wrong with
// one ends the websocket in its turn.
func (s *socket) read() {
	c := s.conn
	for {
		typ, b, err := s.ws.Read(context.Background())
		if errors.Is(err, websocket.ErrMessageTooBig) {
			s.wire.drain()
		}
		if err != nil {
			break
		}
		c.alive()
		if why := c.receive(typ, b); why != nil {
			c.refuse(why)
		}
	}
	c.gone()
	// The library has answered what the client sent; it may have left the
	// connection to us.
	_ = s.ws.CloseNow()
}

func isEnding(err error) bool {
	_, ok := errors.AsType[*ending](err)
	return ok
}

// receive handles a client frame, and returns why it ends the connection, or
// nil.
func (c *hubConn) receive(typ websocket.MessageType, b []byte) *ending {
	if c.refused.Load() != nil {
		return nil // it is ending, and read to its end for the closing handshake's sake
	}
	if c.limiter == nil {
		c.limiter = rate.NewLimiter(c.hub.opts.FrameRate, c.hub.opts.FrameBurst)
	}
	switch {
	case typ != websocket.MessageText:
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
