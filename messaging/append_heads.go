package messaging

import "sync"

// maxHeads bounds a headCache.
const maxHeads = 16384

// A headCache remembers the heads that this node's appends saw last. A stale or
// missing one costs a call, nothing more.
type headCache struct {
	mu    sync.Mutex
	heads map[Topic]Pos // guarded by mu
}

func (c *headCache) get(topic Topic) (Pos, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, ok := c.heads[topic]
	return head, ok
}

func (c *headCache) set(topic Topic, head Pos) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.heads[topic]; !ok && len(c.heads) >= maxHeads {
		for other := range c.heads { // whichever comes first
			delete(c.heads, other)
			break
		}
	}
	c.heads[topic] = head
}
