package messaging

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/coder/websocket"
)

// Drain refuses new connections, tells those there are to come back, each after
// a time of its own within DrainSpread, closes them with 1001 (going away) and
// waits until all have ended or ctx does. What they have not received they get
// where they come back; so what they wait for, be it a log that does not answer, is
// not waited for any longer.
func (h *Hub) Drain(ctx context.Context) error {
	h.mu.Lock()
	h.draining.Store(true)
	var there []*hubConn
	if !h.drained {
		h.drained = true
		if len(h.conns) == 0 {
			close(h.idle)
		}
		there = slices.Collect(maps.Keys(h.conns))
	}
	h.mu.Unlock()
	for _, c := range there {
		c.interrupt()
		c.poke()
	}
	ended := make(chan struct{})
	go func() { // ends with them: closing one takes some seconds at most, whoever waits
		<-h.idle
		h.tasks.Wait() // they have nothing left to do
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		h.mu.Lock()
		defer h.mu.Unlock()
		return fmt.Errorf("messaging: drain: %d connections are left: %w", len(h.conns), ctx.Err())
	}
}

// reconnectData is the data of a lodge.reconnect event: when to come back,
// which is another time for each client.
type reconnectData struct {
	AfterMS int64 `json:"after_ms"`
}

// goAway tells a client of a draining hub when to come back, and returns the
// ending of its connection.
func (c *hubConn) goAway(w *writer, block bool) error {
	if !block {
		return errWait
	}
	after := rand.N(c.hub.opts.DrainSpread).Truncate(time.Millisecond)
	end := &ending{
		code:   websocket.StatusGoingAway,
		reason: fmt.Sprintf("the server is restarting; connect again in %d ms", after.Milliseconds()),
		after:  after,
	}
	e, err := NewEvent(TypeReconnect, "", c.hub.clock.Now(), reconnectData{after.Milliseconds()})
	if err != nil {
		return err
	}
	b, err := e.encode("", "", "")
	if err != nil {
		return err
	}
	if err := c.send(w, newFrame(b), false, true); err != nil {
		return err
	}
	if err := c.out.flush(); err != nil {
		return err
	}
	return end
}
