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
	defer h.leave(c)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx passes events on at once
	w.WriteHeader(http.StatusOK)
	s := &eventStream{w: w, control: http.NewResponseController(w), limit: h.opts.WriteLimit}
	// The limit is this stream's and not that of what the server sends after it.
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }()
	// Clients come back after a cut at different times.
	retry := 1000 + rand.IntN(2000)
	if err := s.send(fmt.Appendf(nil, "retry: %d\n\n", retry)); err != nil {
		if errors.Is(err, http.ErrNotSupported) {
			h.opts.Logger.ErrorContext(r.Context(), "messages: events need a ResponseWriter that flushes and takes deadlines", "error", err)
		}
		return nil // else the client has left
	}
	c.start(r.Context(), s)
	why := c.run(r.Context())
	if e, ok := errors.AsType[*ending](why); ok {
		// The stream's end is all that a client of this protocol notices; the
		// reason is for people who look.
		_ = s.send(fmt.Appendf(nil, ": closed %d %s\n\n", e.code, e.reason))
	}
	return nil
}

// An eventStream is the transport of server-sent events.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	buf     bytes.Buffer
}

func (s *eventStream) ids() bool { return true }

func (s *eventStream) write(frame []byte, id string) error {
	s.buf.Reset()
	if id != "" {
		s.buf.WriteString("id: ")
		s.buf.WriteString(id)
		s.buf.WriteByte('\n')
	}
	s.buf.WriteString("data: ")
	s.buf.Write(frame) // compact JSON: one line
	s.buf.WriteString("\n\n")
	return s.send(s.buf.Bytes())
}

func (s *eventStream) beat(_ context.Context, alive func()) error {
	if err := s.send([]byte(": \n\n")); err != nil {
		return err
	}
	alive()
	return nil
}

func (s *eventStream) send(b []byte) error {
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
