package messaging

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/coder/websocket"
)

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
