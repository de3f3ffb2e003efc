package messaging

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lodge-gateway/lodge"
)

// maxRingBytes bounds the bodies in one ring.
const maxRingBytes = 1 << 20

// A Tail is one topic as this node follows it: its newest items, opened once
// and kept in a ring that all readers of the node share.
//
// A reader subscribes first and then loops: After(cursor) until that returns
// nothing, then wait to be woken. Items older than the ring come from the log
// through the same call, so catching up and live delivery are one loop.
type Tail struct {
	t     *Topics   // static
	s     *sealer   // static
	refs  int       // guarded by Topics.mu
	state feedState // guarded by feedQueue.mu

	version atomic.Uint64 // counts the ring's beginnings and extensions; changed under mu

	mu    sync.Mutex // guards what follows
	ready bool       // start is known
	whole bool       // the topic has nothing before start
	start Pos        // where the ring begins: items[0] follows on it
	items []ringItem // oldest first
	bytes int        // of the items' bodies
	fed   time.Time  // when the topic was last read behind the ring
	subs  []*tailSub // replaced, never changed, so that it can be used without mu
}

// A tailSub is one subscription; its function never blocks.
type tailSub struct{ news func() }

// Open returns the node's Tail of a topic, which all its readers share. Each
// Open needs one Release.
func (t *Topics) Open(tenant lodge.Tenant, name string) *Tail { return t.open(tenant, name, true) }

// open is Open. With follow unset, the caller finds out where the ring begins
// (Topics.begin), instead of a feeder.
func (t *Topics) open(tenant lodge.Tenant, name string, follow bool) *Tail {
	s := t.seals.of(tenant, name)
	t.mu.Lock()
	defer t.mu.Unlock()
	tl, ok := t.tails[s.topic]
	if !ok {
		tl = &Tail{t: t, s: s}
		tl.version.Store(1)
		t.tails[s.topic] = tl
		if follow {
			t.work.add(tl)
		}
	}
	tl.refs++
	return tl
}

// Release gives the tail back; its ring goes with the last one. The caller has
// unsubscribed.
func (tl *Tail) Release() {
	tl.t.mu.Lock()
	defer tl.t.mu.Unlock()
	tl.refs--
	if tl.refs == 0 {
		delete(tl.t.tails, tl.s.topic)
	}
}

// Subscribe registers a channel for news: whenever the topic has moved, or
// positions in it may be lost, the channel gets a value if it has room, so it
// needs a buffer of one. One channel may be subscribed to several tails.
func (tl *Tail) Subscribe(wake chan<- struct{}) (unsubscribe func()) {
	return tl.watch(func() {
		select {
		case wake <- struct{}{}:
		default: // it has been told
		}
	})
}

// watch is Subscribe with a function, which must not block.
func (tl *Tail) watch(news func()) (unwatch func()) {
	sub := &tailSub{news: news}
	tl.mu.Lock()
	defer tl.mu.Unlock()
	tl.subs = append(slices.Clip(tl.subs), sub)
	return func() {
		tl.mu.Lock()
		defer tl.mu.Unlock()
		at := slices.Index(tl.subs, sub)
		tl.subs = slices.Concat(tl.subs[:at], tl.subs[at+1:])
	}
}

// After returns up to limit items after a position, oldest first: from the ring
// when it reaches back to there, else from the log. It is empty when this node
// knows of nothing newer; who subscribed before is woken when it does.
// *PosLostError says that the position is not in the topic. Otherwise errors
// are those of Topics.Read.
func (tl *Tail) After(ctx context.Context, pos Pos, limit int) ([]Item, error) {
	if items, ok := tl.fromRing(pos, clampRead(limit)); ok {
		tl.t.n.ringReads.Add(1)
		return items, nil
	}
	tl.t.n.logReads.Add(1)
	page, err := tl.t.read(ctx, tl.s, pos, limit)
	if err != nil {
		return nil, err
	}
	return page.Items, nil
}

// fromRing returns what the ring has after pos, and whether pos is in it.
func (tl *Tail) fromRing(pos Pos, limit int) ([]Item, bool) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	from, ok := tl.find(pos)
	if !ok {
		return nil, false
	}
	items := make([]Item, 0, min(limit, len(tl.items)-from))
	for _, it := range tl.items[from:min(from+limit, len(tl.items))] {
		items = append(items, it.Item)
	}
	return items, true
}

// find returns the index of what follows a position, and whether that is in the
// ring. The caller holds mu.
func (tl *Tail) find(pos Pos) (int, bool) {
	switch {
	case !tl.ready:
		return 0, false
	case pos == tl.endLocked():
		return len(tl.items), true
	case pos == tl.start:
		return 0, true
	}
	// A ring holds one epoch, with rising sequence numbers.
	i, ok := slices.BinarySearchFunc(tl.items, pos.Seq, func(it ringItem, seq uint64) int {
		return cmp.Compare(it.Pos.Seq, seq)
	})
	if !ok || tl.items[i].Pos != pos {
		return 0, false
	}
	return i + 1, true
}

// Head returns the topic's head as the back end has it now.
func (tl *Tail) Head(ctx context.Context) (Pos, error) {
	heads, err := tl.t.log.Heads(ctx, []Topic{tl.s.topic})
	if err != nil {
		return Pos{}, outward(err)
	}
	return heads[0], nil
}

// due reports whether the ring is behind the topic's head, and whether the topic
// was not read for so long that what the ring holds may have been discarded.
func (tl *Tail) due(head Pos, now time.Time) (behind, old bool) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	return !tl.ready || tl.endLocked() != head, len(tl.items) > 0 && now.Sub(tl.fed) >= floorEvery
}

// end returns where the ring ends, if the tail has one.
func (tl *Tail) end() (Pos, bool) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	return tl.endLocked(), tl.ready
}

func (tl *Tail) endLocked() Pos {
	if n := len(tl.items); n > 0 {
		return tl.items[n-1].Pos
	}
	return tl.start
}

// begin starts an empty ring at a position. With first set it does so only if
// there is no ring yet; it reports whether it did.
func (tl *Tail) begin(at Pos, first bool) bool {
	tl.mu.Lock()
	if first && tl.ready {
		tl.mu.Unlock()
		return false
	}
	// A topic that nobody wrote to has nothing before its head.
	tl.ready, tl.whole, tl.start, tl.items, tl.bytes = true, at.IsZero(), at, nil, 0
	tl.tell()
	return true
}

// extend adds a page that was read from the ring's end.
func (tl *Tail) extend(page OpenPage) {
	tl.mu.Lock()
	for _, it := range page.Items {
		if end := tl.endLocked(); it.Pos.Epoch != end.Epoch && !end.IsZero() {
			tl.cutLocked(len(tl.items)) // a gap leads into another epoch
			tl.whole = false
		}
		tl.items = append(tl.items, ringItem{Item: it})
		tl.bytes += len(it.Body)
	}
	drop, bytes := 0, tl.bytes
	for drop < len(tl.items)-1 && (len(tl.items)-drop > tl.t.opts.Ring || bytes > maxRingBytes) {
		bytes -= len(tl.items[drop].Body)
		drop++
	}
	tl.whole = tl.whole && drop == 0
	tl.cutLocked(drop)
	tl.forgetLocked(page.Floor)
	tl.fed = time.Now()
	if len(page.Items) == 0 {
		tl.mu.Unlock()
		return
	}
	tl.tell()
}

// forgetLocked drops what was discarded from the topic.
func (tl *Tail) forgetLocked(floor Pos) {
	n := 0
	for n < len(tl.items) && tl.items[n].Pos.Epoch == floor.Epoch && tl.items[n].Pos.Seq <= floor.Seq {
		n++
	}
	if n > 0 {
		tl.cutLocked(n)
		tl.whole = true
	}
}

// cutLocked drops the oldest n items.
func (tl *Tail) cutLocked(n int) {
	if n == 0 {
		return
	}
	tl.start = tl.items[n-1].Pos
	for _, it := range tl.items[:n] {
		tl.bytes -= len(it.Body)
	}
	clear(tl.items[:n]) // lets go of the bodies
	if tl.items = tl.items[n:]; len(tl.items) == 0 {
		tl.items = nil
	}
}

// tell releases mu, which the caller holds, and tells all who subscribed that
// there is news.
func (tl *Tail) tell() {
	tl.version.Add(1)
	subs := tl.subs
	tl.mu.Unlock()
	for _, sub := range subs {
		sub.news()
	}
}
