package messaging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// ServeEvents serves the events of a session as server-sent events until the
// client leaves or the session ends. Each stored event's id holds the positions
// of all topics, so that Last-Event-ID resumes them all; ids have the form of
// the query's resume, which works here as well.
//
// An error, a *lodge.Error, means that the connection was refused and that
// nothing has been answered.
func (h *Hub) ServeEvents(w http.ResponseWriter, r *http.Request, sub Subscriber) error {
	c, err := h.admit(r, sub)
	if err != nil {
		return err
	}
	c.due = make(chan struct{}, 1)
	defer h.leave(c)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx passes events on at once
	w.WriteHeader(http.StatusOK)
	s := &eventStream{conn: c, w: w, control: http.NewResponseController(w), limit: h.opts.WriteLimit}
	// The limit is this stream's and not that of what the server sends after it.
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }()
	// Clients come back after a cut at different times.
	if err := s.put(fmt.Appendf(nil, "retry: %d\n\n", 1000+rand.IntN(2000))); err != nil {
		if errors.Is(err, http.ErrNotSupported) {
			h.opts.Logger.ErrorContext(r.Context(), "messages: events need a ResponseWriter that flushes and takes deadlines", "error", err)
		}
		return nil // else the client has left
	}
	c.out = s
	s.serve(r.Context())
	return nil
}

// An eventStream is the transport of server-sent events. Its handler does the
// connection's turns.
type eventStream struct {
	conn    *hubConn
	w       http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	buf     bytes.Buffer
}

// serve does the connection's turns, the first at once, until it ends.
func (s *eventStream) serve(ctx context.Context) {
	var w writer
	c := s.conn
	for {
		busy, err := c.turnWithin(ctx, &w)
		if err != nil && ctx.Err() == nil {
			s.close(err)
		}
		if err != nil || ctx.Err() != nil {
			return
		}
		if c.settle(busy) {
			c.enqueue()
		}
		select {
		case <-c.due:
			c.state.Store(connBusy) // nobody else takes it up, or ends it
		case <-ctx.Done():
			return
		}
	}
}

// turnWithin is a turn that can be interrupted.
func (c *hubConn) turnWithin(ctx context.Context, w *writer) (busy bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	c.cancel = cancel
	c.mu.Unlock()
	busy, err = c.turn(ctx, w, true)
	c.mu.Lock()
	c.cancel = nil
	c.mu.Unlock()
	return busy, err
}

func (s *eventStream) ids() bool    { return true }
func (s *eventStream) owes() bool   { return false }
func (s *eventStream) flush() error { return nil }

// send writes a frame with the id from which a client that got it goes on.
func (s *eventStream) send(_ *writer, frames []*frame, _ []byte, id func() string) (int, error) {
	s.buf.Reset()
	if id := id(); id != "" {
		s.buf.WriteString("id: ")
		s.buf.WriteString(id)
		s.buf.WriteByte('\n')
	}
	s.buf.WriteString("data: ")
	s.buf.Write(frames[0].payload()) // compact JSON: one line
	s.buf.WriteString("\n\n")
	return 1, s.put(s.buf.Bytes())
}

func (s *eventStream) beat(*writer) error {
	if err := s.put([]byte(": \n\n")); err != nil {
		return err
	}
	s.conn.alive()
	return nil
}

// close says why the stream ends: that it does is all that a client of this
// protocol notices; the reason is for people who look.
func (s *eventStream) close(why error) {
	e, ok := errors.AsType[*ending](why)
	if !ok {
		return // the client has left
	}
	if e.after > 0 {
		_ = s.put(fmt.Appendf(nil, "retry: %d\n\n", max(e.after.Milliseconds(), 1)))
	}
	_ = s.put(fmt.Appendf(nil, ": closed %d %s\n\n", e.code, e.reason))
}

func (s *eventStream) put(b []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.limit)); err != nil {
		return fmt.Errorf("messaging: write limit: %w", err)
	}
	if _, err := s.w.Write(b); err != nil {
		return fmt.Errorf("messaging: write: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("messaging: write: %w", err)
	}
	return nil
}
