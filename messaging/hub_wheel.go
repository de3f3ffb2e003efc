package messaging

import (
	"sync"
	"time"
)

// A wheel says of each connection when it is time to see whether its client is
// still there and whether its membership is what it was, once a period, and when
// a client has not answered for too long. One timer turns it; connections are
// spread over its slots so that few are due at a time.
type wheel struct {
	limit time.Duration // static: how long an answer may take
	step  time.Duration // static: between two slots
	late  int           // static: how many slots on it is seen whether there was an answer; 0: only a round later

	mu    sync.Mutex   // guards what follows
	slots [][]*hubConn //
	next  int32        // the slot of the next connection
	at    int          // the slot whose turn was last
	n     int          // connections
	timer *time.Timer  // nil while there are none
}

// maxSlots is how many slots a wheel has whose steps would not get too short.
const maxSlots = 32

func newWheel(period, limit time.Duration) *wheel {
	slots := int(min(maxSlots, max(1, period/time.Millisecond)))
	w := &wheel{limit: limit, step: period / time.Duration(slots), slots: make([][]*hubConn, slots)}
	if late := limit/w.step + 1; late < time.Duration(slots) {
		w.late = int(late)
	}
	return w
}

func (w *wheel) add(c *hubConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.slot = w.next
	w.next = (w.next + 1) % int32(len(w.slots))
	c.at = int32(len(w.slots[c.slot]))
	w.slots[c.slot] = append(w.slots[c.slot], c)
	w.n++
	if w.timer == nil {
		w.timer = time.AfterFunc(w.step, w.tick)
	}
}

func (w *wheel) remove(c *hubConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	slot := w.slots[c.slot]
	last := len(slot) - 1
	slot[c.at] = slot[last]
	slot[c.at].at = c.at
	slot[last] = nil
	w.slots[c.slot] = slot[:last]
	if w.n--; w.n == 0 {
		w.timer.Stop()
		w.timer = nil
	}
}

// tick goes on by one slot.
func (w *wheel) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return // the last connection has just left
	}
	now := time.Now()
	w.at = (w.at + 1) % len(w.slots)
	for _, c := range w.slots[w.at] {
		c.beat.Store(true)
		c.stale.Store(true)
		w.check(c, now)
		c.poke()
	}
	if w.late != 0 {
		for _, c := range w.slots[(w.at-w.late+len(w.slots))%len(w.slots)] {
			if w.check(c, now) {
				c.poke()
			}
		}
	}
	w.timer.Reset(w.step)
}

// check notes whether a client has not answered for too long.
func (w *wheel) check(c *hubConn, now time.Time) bool {
	asked := c.asked.Load()
	if asked == 0 || now.UnixNano()-asked < int64(w.limit) {
		return false
	}
	c.mute.Store(true)
	return true
}
