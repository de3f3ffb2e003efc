package gateway

import "github.com/lodge-gateway/lodge"

// Held counts what the gateway keeps in memory for connections, open or about to
// be opened: each of these is to be gone with its connection.
func (g *Gateway) Held() map[string]int {
	stats, sockets := g.relay.Stats(), 0
	for _, n := range g.hub.Sockets(lodge.DefaultTenant) {
		sockets += n
	}
	held := map[string]int{"peers": stats.Peers, "rooms": stats.Rooms, "message sockets": sockets}
	g.tickets.mu.Lock()
	held["tickets"] = len(g.tickets.waiting) + len(g.tickets.holding)
	g.tickets.mu.Unlock()
	g.presence.mu.Lock()
	held["stays"] = len(g.presence.live)
	g.presence.mu.Unlock()
	return held
}
