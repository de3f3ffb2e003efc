package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
)

// inboxLimit is how long an answer or a mark may take.
const inboxLimit = 10 * time.Second

// ServeWS makes a websocket of a request and serves it until it ends. The
// gateway has authenticated the session and checked Origin. The query's resume
// (repeated, or joined by commas) says where the client was: topic~position,
// topic URL-escaped.
//
// An error, a *lodge.Error, means that the connection was refused before the
// upgrade and that nothing has been answered.
func (h *Hub) ServeWS(w http.ResponseWriter, r *http.Request, sub Subscriber) error {
	c, err := h.admit(r, sub)
	if err != nil {
		return err
	}
	defer h.leave(c)
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the gateway compares Origin with its exact list
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil // Accept has answered
	}
	ws.SetReadLimit(maxFrame)

	// The context of a hijacked request ends with the handler and not when the
	// client leaves: the reader notices that.
	ctx, end := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer end(nil)
	s := &socket{ws: ws, limit: h.opts.WriteLimit, pong: h.opts.PongLimit, end: end}
	c.start(ctx, s)
	var reader sync.WaitGroup
	reader.Go(func() { end(c.receive(ctx, ws)) })
	why := c.run(ctx)
	end(why)
	s.close(why)
	reader.Wait()
	s.pings.Wait()
	return nil
}

// A socket is the websocket transport.
type socket struct {
	ws          *websocket.Conn
	limit, pong time.Duration
	end         context.CancelCauseFunc
	pings       sync.WaitGroup
}

func (s *socket) ids() bool { return false }

func (s *socket) write(frame []byte, _ string) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	if err := s.ws.Write(ctx, websocket.MessageText, frame); err != nil {
		return fmt.Errorf("messaging: write: %w", err)
	}
	return nil
}

// beat sends a ping; a client that does not answer it in time is gone.
func (s *socket) beat(ctx context.Context, alive func()) error {
	s.pings.Go(func() {
		// Ending its context would cut the connection before the close frame;
		// closing ends it as well.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.pong)
		defer cancel()
		if err := s.ws.Ping(ctx); err != nil {
			s.end(fmt.Errorf("messaging: ping: %w", err))
			return
		}
		alive()
	})
	return nil
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

func isEnding(err error) bool {
	_, ok := errors.AsType[*ending](err)
	return ok
}

// receive handles client frames until the connection ends and returns why. It
// reads on past the end of ctx, until close, so that the closing handshake can
// take place.
func (c *hubConn) receive(ctx context.Context, ws *websocket.Conn) error {
	for {
		typ, b, err := ws.Read(context.WithoutCancel(ctx))
		if err != nil {
			return fmt.Errorf("messaging: read: %w", err)
		}
		c.alive()
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
			return &ending{websocket.StatusPolicyViolation, err.Error()}
		}
		c.handle(ctx, f)
	}
}

// handle does what a client frame asks for.
func (c *hubConn) handle(ctx context.Context, f clientFrame) {
	switch f.Type {
	case frameAck, frameRead:
		c.acknowledge(f.Topic, f.pos, f.Type == frameRead)
	case frameNarrow:
		c.narrow(f.Topics)
	case frameAnswer:
		c.reply(ctx, f, c.hub.inbox.Answer)
	case frameMark:
		c.reply(ctx, f, c.hub.inbox.Mark)
	}
}

// acknowledge moves the person's receipt cursor. A position that was not
// delivered on this connection moves nothing: the topic may have been taken
// away in between, or the client is wrong.
func (c *hubConn) acknowledge(topic string, pos Pos, read bool) {
	c.mu.Lock()
	sent, ok := c.sent[topic]
	c.mu.Unlock()
	if ok && pos.Epoch == sent.Epoch && pos.Seq <= sent.Seq {
		c.hub.receipts.move(c.tenant, topic, c.person, pos, read)
	}
}

// reply passes a frame to the inbox and leaves the reply for run.
func (c *hubConn) reply(ctx context.Context, f clientFrame, ask func(context.Context, Subscriber, json.RawMessage) (json.RawMessage, error)) {
	ctx, cancel := context.WithTimeout(ctx, inboxLimit)
	defer cancel()
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
	c.offer("", b)
}
