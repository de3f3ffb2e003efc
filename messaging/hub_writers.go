package messaging

import (
	"runtime"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge/internal/ws"
)

// A writerPool is the few goroutines that do the turns of all websockets of a
// node: as many as can be of use, whatever the number of connections, and none
// while nothing is due. They never wait: a connection for which there is
// something to wait for goes on in a goroutine of its own.
type writerPool struct {
	hub   *Hub // static
	limit int  // static: of writers

	mu      sync.Mutex // guards what follows
	queue   []*hubConn // in the order in which they came, each at most once
	taken   int        // of queue: those are being served
	writers int
}

// chunk is how many connections a writer takes from the queue at a time.
const chunk = 16

func newWriterPool(h *Hub) *writerPool {
	return &writerPool{hub: h, limit: 2 * runtime.GOMAXPROCS(0)}
}

// add queues connections, each of which has just become queued.
func (p *writerPool) add(conns ...*hubConn) {
	if len(conns) == 0 {
		return
	}
	p.mu.Lock()
	p.queue = append(p.queue, conns...)
	more := max(0, min(p.limit, (len(p.queue)-p.taken+chunk-1)/chunk)-p.writers)
	p.writers += more
	p.mu.Unlock()
	for range more {
		p.hub.tasks.Go(p.write)
	}
}

// write serves connections until none is left.
func (p *writerPool) write() {
	var w writer
	var conns [chunk]*hubConn
	for {
		n := p.take(conns[:])
		if n == 0 {
			return
		}
		for _, c := range conns[:n] {
			c.serve(&w)
		}
	}
}

// take moves the next connections from the queue to dst; after 0 the writer has
// left.
func (p *writerPool) take(dst []*hubConn) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := copy(dst, p.queue[p.taken:])
	if n == 0 {
		p.queue, p.taken = p.queue[:0], 0
		p.writers--
		return 0
	}
	clear(p.queue[p.taken:][:n])
	p.taken += n
	if p.taken > len(p.queue)/2 { // under a load that never ends it does not grow
		left := copy(p.queue, p.queue[p.taken:])
		clear(p.queue[left:])
		p.queue, p.taken = p.queue[:left], 0
	}
	return n
}

// A writer is what one goroutine needs to do turns: memory that it uses again,
// and the batch that it wrote last, which most often is the next connection's
// as well.
type writer struct {
	frames []*frame // scratch
	wire   []byte   // scratch

	tail  *Tail // of last
	from  Pos   // where last begins
	last  batch
	bytes []byte // of last, when it has several frames

	try ws.Writer
}

// A batch is a run of frames of a topic, and their bytes in one piece.
type batch struct {
	frames  []*frame
	wire    []byte
	oldest  time.Time // when the earliest of their events happened
	end     time.Time // when the first of them expires; zero: none does
	version uint64    // of the tail when it was read
	more    bool      // the ring has more behind them
}

// batch returns the frames that a tail's ring has after a position; false when
// the position is not in the ring. It is good until the next call.
func (w *writer) batch(tl *Tail, from Pos) (*batch, bool) {
	if w.tail == tl && w.from == from && w.last.version == tl.version.Load() {
		return &w.last, true
	}
	frames, version, more, ok := tl.frames(from, w.last.frames[:0])
	if !ok {
		w.tail = nil
		return nil, false
	}
	w.tail, w.from = tl, from
	w.last = batch{frames: frames, version: version, more: more}
	w.last.join(&w.bytes)
	return &w.last, true
}

// join puts the frames' bytes into one piece.
func (b *batch) join(buf *[]byte) {
	if len(b.frames) == 0 {
		return
	}
	b.oldest, b.end = b.frames[0].time, b.frames[0].end
	if len(b.frames) == 1 {
		b.wire = b.frames[0].wire
		return
	}
	*buf = (*buf)[:0]
	for _, f := range b.frames {
		*buf = append(*buf, f.wire...)
		if f.time.Before(b.oldest) {
			b.oldest = f.time
		}
		if !f.end.IsZero() && (b.end.IsZero() || f.end.Before(b.end)) {
			b.end = f.end
		}
	}
	b.wire = *buf
}
