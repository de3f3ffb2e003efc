// Package messaging keeps people reachable: a per-person message channel that
// outlives the experiment, on totally ordered topics that can live in whatever
// infrastructure a site already has.
//
// It has two halves. Below is the log: a Log is a back end (memory, SQLite, …)
// behind one conformance suite, and Topics is written once above all of them:
// it names topics opaquely, seals and chains entries, and gives each node one
// shared Tail a topic. A Projection folds a topic into state; surveys,
// registers and receipts are projections.
//
// Above is the Hub. It owns every message connection of a node, websocket or
// server-sent events. A connection belongs to a session; what it is given is
// derived from that session by Members, never from what the client asks for, and
// derived again whenever membership may have changed. For each of its topics a
// connection holds a cursor; it registers with the Tails, reads after its
// cursors, writes what it finds as CloudEvents, and else waits. There is no
// queue of entries to overflow: a connection that is slow simply is further
// behind, one that cannot take a frame within the write limit is closed, and
// whoever comes back says where they were. A websocket costs one goroutine, its
// reader: what is due on all of them is written by a few writers, which give
// each socket the frames it takes at once (made once for all, several in one
// write) and never wait. Where there is something to wait for, a full socket,
// the log, membership, that connection alone goes on in a goroutine of its own
// until it has caught up. What cannot be replayed is said with
// a lodge.gap event, so nothing is ever skipped silently. Delivery is at least
// once with stable ids; the client's library makes that exactly once.
//
// The package knows neither cookies nor codes nor roles: the gateway
// authenticates a request, checks its Origin and adapts Members and Inbox. The
// wire is described by asyncapi.yaml, which the tests hold the hub to.
package messaging
