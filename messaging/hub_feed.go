package messaging

import (
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// What a feed keeps of the frames it encoded.
const (
	feedFrames = 256
	feedBytes  = 1 << 20
)

// A feed is one topic as this node's connections deliver it: its Tail, who
// delivers it, and the frames that were encoded from its entries of late, so
// that each entry is encoded once and not once a connection.
type feed struct {
	key   topicKey
	tail  *Tail
	conns map[*hubConn]struct{} // guarded by Hub.mu

	mu     sync.Mutex // guards what follows
	frames map[Pos]*frame
	order  []*frame // of frames, as they were encoded
	bytes  int
}

type topicKey struct {
	tenant lodge.Tenant
	topic  string
}

// A frame is an entry as it goes over the wire. It is immutable.
type frame struct {
	pos   Pos
	time  time.Time // when the event happened
	bytes []byte
}

// frame returns the frame of an item. An item that holds no event gives an
// error; it is for the caller to tell the client of the gap.
func (f *feed) frame(item Item) (*frame, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fr, ok := f.frames[item.Pos]; ok {
		return fr, nil
	}
	e, err := ParseEvent(item.Body)
	if err != nil {
		return nil, err
	}
	b, err := e.encode(f.key.topic, item.Pos.String(), "")
	if err != nil {
		return nil, err
	}
	fr := &frame{pos: item.Pos, time: e.Time, bytes: b}
	f.frames[fr.pos] = fr
	f.order = append(f.order, fr)
	f.bytes += len(b)
	for len(f.order) > feedFrames || (f.bytes > feedBytes && len(f.order) > 1) {
		oldest := f.order[0]
		f.order[0] = nil // the backing array is reused for long
		f.order = f.order[1:]
		f.bytes -= len(oldest.bytes)
		delete(f.frames, oldest.pos)
	}
	return fr, nil
}

// join returns the feed of a topic and enters a connection into it; the
// connection gives it back with part.
func (h *Hub) join(c *hubConn, topic string) *feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := topicKey{c.tenant, topic}
	f, ok := h.feeds[key]
	if !ok {
		f = &feed{
			key: key, tail: h.topics.Open(c.tenant, topic),
			conns: make(map[*hubConn]struct{}), frames: make(map[Pos]*frame),
		}
		h.feeds[key] = f
	}
	f.conns[c] = struct{}{}
	return f
}

func (h *Hub) part(c *hubConn, f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(f.conns, c)
	if len(f.conns) == 0 {
		delete(h.feeds, f.key)
		f.tail.Release()
	}
}

// audience returns who delivers a topic now.
func (h *Hub) audience(tenant lodge.Tenant, topic string) []*hubConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.feeds[topicKey{tenant, topic}]
	if !ok {
		return nil
	}
	conns := make([]*hubConn, 0, len(f.conns))
	for c := range f.conns {
		conns = append(conns, c)
	}
	return conns
}
