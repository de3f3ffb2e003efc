package gateway

import (
	"sync"
	"time"
)

// A CanaryView is what the relay's canary said last: whether its message came back,
// and after how long.
type CanaryView struct {
	Delay float64   `json:"delay_seconds"` // of the last message that came back
	Lost  bool      `json:"lost"`          // the one after that did not
	At    time.Time `json:"at"`            // when it was known
}

// canary keeps what the canary said last, for whoever asks whether the node is
// ready.
type canary struct {
	mu   sync.Mutex
	last *CanaryView // guarded by mu; nil: it has said nothing yet
}

// heard notes what one message took, or that it was lost.
func (g *Gateway) heard(delay time.Duration, lost bool) {
	g.metrics.Canary(delay, lost)
	view := &CanaryView{Delay: delay.Seconds(), Lost: lost, At: g.clock.Now().UTC()}
	g.canary.mu.Lock()
	defer g.canary.mu.Unlock()
	if lost && g.canary.last != nil {
		view.Delay = g.canary.last.Delay
	}
	g.canary.last = view
}

func (c *canary) view() *CanaryView {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}
