package messaging

import "github.com/lodge-gateway/lodge"

// Sockets counts the message connections of a tenant that are open on this node,
// websockets and event streams alike, by the public id of their session.
func (h *Hub) Sockets(tenant lodge.Tenant) map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := map[string]int{}
	for c := range h.conns {
		if c.tenant == tenant {
			count[c.session]++
		}
	}
	return count
}

// Delivered counts the entries of topics that this node has written to connections.
func (h *Hub) Delivered() uint64 { return h.sent.Load() }

// Open counts the message connections that are open on this node.
func (h *Hub) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}
