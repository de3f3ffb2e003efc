package relay

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/ws"
)

// shards is how many locks the map of rooms is spread over. They are taken when
// a connection joins or leaves, never for a message.
const shards = 64

type roomKey struct {
	tenant lodge.Tenant
	topic  string
}

// rooms finds the room of a topic. A room is there as long as somebody is in it.
type rooms struct {
	seed   maphash.Seed
	shards [shards]roomShard
	past   [policies]tally // what connections that have gone had counted, by the policy of their streams

	pastIn, pastOut atomic.Uint64 // bytes of those
}

type roomShard struct {
	mu       sync.Mutex
	rooms    map[roomKey]*room // guarded by mu
	draining bool              // guarded by mu
}

// A room is the connections of one topic. Senders read its list of peers
// without a lock; joining and leaving replace the list.
type room struct {
	key   roomKey
	peers atomic.Pointer[[]*peer] // replaced under the shard's mu

	// space holds a token after a reader has come or caught up.
	space chan struct{}
}

func newRooms() *rooms {
	rs := &rooms{seed: maphash.MakeSeed()}
	for i := range rs.shards {
		rs.shards[i].rooms = map[roomKey]*room{}
	}
	return rs
}

func (rs *rooms) shard(key roomKey) *roomShard {
	return &rs.shards[maphash.Comparable(rs.seed, key)%shards]
}

// join puts p into the room of its topic; it is false once the relay drains.
func (rs *rooms) join(p *peer) bool {
	g := p.grant.Load()
	key := roomKey{g.Tenant, g.Topic}
	s := rs.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	rm := s.rooms[key]
	if rm == nil {
		rm = &room{key: key, space: make(chan struct{}, 1)}
		rm.peers.Store(&[]*peer{})
		s.rooms[key] = rm
	}
	peers := append(slices.Clone(*rm.peers.Load()), p)
	rm.peers.Store(&peers)
	p.room = rm
	rm.moved() // a sender that waits for the others need not any more
	return true
}

// leave takes p out of its room, and the room away with its last peer.
func (rs *rooms) leave(p *peer) {
	s := rs.shard(p.room.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	peers := slices.Clone(*p.room.peers.Load())
	if i := slices.Index(peers, p); i >= 0 {
		peers = slices.Delete(peers, i, i+1)
	}
	p.room.peers.Store(&peers)
	if len(peers) == 0 {
		delete(s.rooms, p.room.key)
	}
	if p.grant.Load().Kind == kindCanary {
		return // it counts nowhere
	}
	rs.past[p.out.queue.policy].add(p.counts())
	in, out := p.bytes()
	rs.pastIn.Add(in)
	rs.pastOut.Add(out)
}

// empty reports whether nobody is in a room, nor about to be.
func (rs *rooms) empty(key roomKey) bool {
	s := rs.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms[key] == nil
}

// drained reports whether nobody may join any more.
func (rs *rooms) drained() bool {
	s := &rs.shards[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// each calls fn with every peer, opened or about to be.
func (rs *rooms) each(fn func(*peer)) {
	for i := range rs.shards {
		s := &rs.shards[i]
		s.mu.Lock()
		for _, rm := range s.rooms {
			for _, p := range *rm.peers.Load() {
				fn(p)
			}
		}
		s.mu.Unlock()
	}
}

// drain lets nobody join any more and returns those who are there.
func (rs *rooms) drain() []*peer {
	var live []*peer
	for i := range rs.shards {
		s := &rs.shards[i]
		s.mu.Lock()
		s.draining = true
		for _, rm := range s.rooms {
			live = append(live, *rm.peers.Load()...)
		}
		s.mu.Unlock()
	}
	return live
}

// hold is the longest time that a sender waits for the fastest of its readers.
const hold = time.Second

// send gives a batch to every other peer that may read, and then paces the
// sender. w is the sender's.
func (rm *room) send(from *peer, w *ws.Writer, b *batch) {
	all := true // whether every reader is behind
	readers := 0
	for _, p := range *rm.peers.Load() {
		if p == from || !p.reads.Load() {
			continue
		}
		if !p.deliver(w, b) {
			continue
		}
		readers++
		all = all && p.out.queue.behind.Load()
	}
	if readers > 0 && all {
		rm.pace(from)
	}
}

// pace waits until a reader has caught up or hold has passed. It is called when
// no reader keeps up, so that nobody is delayed by it who could be served: what
// it slows down is a sender that is faster than the fastest of its readers. A
// sender that waited in vain does not wait again before some reader has moved.
func (rm *room) pace(from *peer) {
	if from.stalled && len(rm.space) == 0 {
		return
	}
	timer := time.NewTimer(hold)
	defer timer.Stop()
	select {
	case <-rm.space:
		from.stalled = false
	case <-timer.C:
		from.stalled = true
	case <-from.gone:
	}
}

// moved tells a waiting sender that a reader has come or caught up.
func (rm *room) moved() {
	select {
	case rm.space <- struct{}{}:
	default:
	}
}
