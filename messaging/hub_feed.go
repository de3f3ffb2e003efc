package messaging

import (
	"context"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A feed is one topic as this node's connections deliver it: its Tail, and who
// delivers it.
type feed struct {
	hub     *Hub     // static
	key     topicKey // static
	tail    *Tail    // static
	unwatch func()   // static

	fill sync.Mutex // held by who reads the log for all

	mu      sync.Mutex // guards what follows
	conns   []*delivery
	round   time.Time   // when all were last had to look
	seq     uint64      // of the topic's end then
	carried uint64      // how many entries there were to look at
	later   *time.Timer // has all look again; nil: nobody waits for it
}

// A topic on which several entries come at a time, to many, is looked at so often
// at the most, since to write several at once costs little more than to write one.
const (
	roundEvery = 25 * time.Millisecond
	crowd      = 64 // connections
	flood      = 3  // entries since the round before
)

type topicKey struct {
	tenant lodge.Tenant
	topic  string
}

// join returns the feed of a topic and enters a delivery into it, which gives it
// back with part.
func (h *Hub) join(d *delivery, topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := topicKey{d.conn.tenant, topic}
	f, ok := h.feeds[key]
	if !ok {
		f = &feed{hub: h, key: key, tail: h.topics.open(key.tenant, topic, false)}
		f.unwatch = f.tail.watch(f.news)
		h.feeds[key] = f
	}
	d.feed, d.tail = f, f.tail
	f.mu.Lock()
	d.at = len(f.conns)
	f.conns = append(f.conns, d)
	f.mu.Unlock()
}

func (h *Hub) part(d *delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := d.feed
	f.mu.Lock()
	last := len(f.conns) - 1
	f.conns[d.at] = f.conns[last]
	f.conns[d.at].at = d.at
	f.conns[last] = nil
	f.conns = f.conns[:last]
	if last == 0 && f.later != nil {
		f.later.Stop() // if it looks all the same, there is nobody
	}
	f.mu.Unlock()
	if last == 0 {
		delete(h.feeds, f.key)
		f.unwatch()
		f.tail.Release()
	}
}

// news has all who deliver the topic look at it, at once or, amid a flood, a moment
// later. The tail calls it.
func (f *feed) news() {
	end, _ := f.tail.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := roundEvery - time.Since(f.round)
	switch {
	case len(f.conns) < crowd || f.carried < flood || wait <= 0 || end.Seq-min(f.seq, end.Seq) >= pageSize:
		f.rouseLocked(end)
	case f.later == nil:
		f.later = time.AfterFunc(wait, func() {
			end, _ := f.tail.end()
			f.mu.Lock()
			defer f.mu.Unlock()
			f.rouseLocked(end)
		})
	}
}

// rouseLocked has all look at a topic that ends there.
func (f *feed) rouseLocked(end Pos) {
	if f.later != nil {
		f.later.Stop()
		f.later = nil
	}
	f.carried = end.Seq - min(f.seq, end.Seq)
	f.round, f.seq = time.Now(), end.Seq
	due := make([]*hubConn, 0, len(f.conns))
	for _, d := range f.conns {
		if c := d.conn; c.rouse() {
			if c.due != nil {
				c.due <- struct{}{}
			} else {
				due = append(due, c)
			}
		}
	}
	f.hub.writers.add(due...)
}

// shared reports whether several connections deliver the topic, so that what one
// of them reads is worth keeping.
func (f *feed) shared() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns) > 1
}

// read reads the log where the ring does not reach, for one connection at a time
// where it may serve the others too. kept says that what it found is in the
// ring now, or was already; else it is in the page.
func (f *feed) read(ctx context.Context, after Pos) (page OpenPage, kept bool, err error) {
	if !f.shared() {
		page, err = f.tail.log(ctx, after)
		return page, false, err
	}
	f.fill.Lock()
	defer f.fill.Unlock()
	if f.tail.has(after) { // somebody else was quicker
		return OpenPage{}, true, nil
	}
	page, err = f.tail.log(ctx, after)
	if err != nil {
		return OpenPage{}, false, err
	}
	return page, f.tail.prepend(after, page.Items, after == page.Floor), nil
}

// start returns where a new connection begins: behind all but the newest n
// entries.
func (f *feed) start(ctx context.Context, n int) (Pos, error) {
	if at, ok := f.tail.history(n); ok {
		return at, nil
	}
	shared := f.shared()
	if shared {
		f.fill.Lock()
		defer f.fill.Unlock()
		if at, ok := f.tail.history(n); ok {
			return at, nil
		}
	}
	page, err := f.hub.topics.readBack(ctx, f.tail.s, Pos{}, n+1)
	if err != nil {
		return Pos{}, err
	}
	at, items := page.Floor, page.Items
	if len(items) > n {
		at, items = items[n].Pos, items[:n]
	}
	if shared {
		oldestFirst := make([]Item, 0, len(items))
		for i := len(items) - 1; i >= 0 && !items[i].Gap; i-- {
			oldestFirst = append(oldestFirst, items[i])
		}
		if len(oldestFirst) == len(items) { // a gap stands elsewhere when it is read forwards
			f.tail.prepend(at, oldestFirst, at == page.Floor)
		}
	}
	return at, nil
}

// audience returns who delivers a topic now.
func (h *Hub) audience(tenant lodge.Tenant, topic string) []*hubConn {
	h.mu.Lock()
	f, ok := h.feeds[topicKey{tenant, topic}]
	h.mu.Unlock()
	if !ok {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	conns := make([]*hubConn, 0, len(f.conns))
	for _, d := range f.conns {
		conns = append(conns, d.conn)
	}
	return conns
}
