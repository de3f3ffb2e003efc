package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"time"
)

// A delivery is one topic of a connection, owned by the connection's turn.
type delivery struct {
	conn   *hubConn  // static
	feed   *feed     // static
	tail   *Tail     // static: the feed's
	at     int       // in feed.conns; guarded by feed.mu
	seen   uint64    // the version of the tail behind which there was nothing; 0: it was not looked at
	cursor Pos       // everything up to here was written; changed under conn.mu
	since  time.Time // entries made earlier are not to be seen; zero: no bound
	gap    *gap      // to be told before anything else
	left   []*frame  // read from the log, to be written next
	last   uint64    // what seen is once left is written
}

// A gap is what could not be replayed.
type gap struct {
	since Pos // where the client was
	at    Pos // from where it goes on
}

// begin subscribes a connection to topics and finds where it starts in each. It
// returns those that could be begun.
func (c *hubConn) begin(ctx context.Context, names []string) []*delivery {
	deliveries, block := make([]*delivery, len(names)), make([]delivery, len(names))
	tails := make([]*Tail, len(names))
	for i, name := range names {
		deliveries[i] = &block[i]
		deliveries[i].conn = c
		c.hub.join(deliveries[i], name) // register, then read
		tails[i] = deliveries[i].tail
	}
	failed := c.hub.topics.begin(ctx, tails)
	begun := deliveries[:0]
	for _, d := range deliveries {
		err := failed
		if err == nil {
			err = c.position(ctx, d)
		}
		if err != nil {
			c.hub.part(d)
			c.hub.opts.Logger.WarnContext(ctx, "messages: a topic cannot be begun; trying again", "topic", d.feed.key.topic, "error", err)
			c.troubled = true
			continue
		}
		begun = append(begun, d)
	}
	return begun
}

// end stops the delivery of a topic and remembers where it was.
func (c *hubConn) end(d *delivery) {
	c.hub.part(d)
	if c.resume == nil {
		c.resume = make(map[string]Pos)
	}
	c.resume[d.feed.key.topic] = d.cursor
}

// position sets a delivery's cursor: where the client says it was, else at the
// start of the history that a new client is given. Whether the place is still
// there shows when it is read from. The zero position is one, too: of a client
// that has seen the topic empty.
func (c *hubConn) position(ctx context.Context, d *delivery) error {
	at, known := c.resume[d.feed.key.topic]
	if !known {
		var err error
		if at, err = d.feed.start(ctx, c.hub.opts.History); err != nil {
			return err
		}
	}
	delete(c.resume, d.feed.key.topic)
	d.cursor = at
	return nil
}

// lose moves the cursor to the floor of the topic and notes the gap.
func (c *hubConn) lose(d *delivery, floor Pos) {
	since := d.cursor
	if d.gap != nil {
		since = d.gap.since
	}
	d.gap = &gap{since: since, at: floor}
	c.advance(d, floor)
}

// deliver writes up to a batch of a topic, or as much as was read from the log
// for lack of the ring. It reports whether there may be more.
func (c *hubConn) deliver(ctx context.Context, w *writer, d *delivery, block bool) (more bool, err error) {
	if d.gap == nil && d.seen == d.tail.version.Load() {
		return false, nil
	}
	if c.stale.Load() {
		return true, nil
	}
	if d.gap != nil {
		if err := c.sendGap(w, d, block); err != nil {
			return false, err
		}
	}
	if len(d.left) == 0 {
		if b, ok := w.batch(d.tail, d.cursor); ok {
			return c.pass(w, d, b, block)
		}
	}
	if !block {
		return false, errWait
	}
	if len(d.left) == 0 {
		if more := c.read(ctx, d); more || len(d.left) == 0 {
			return more, nil
		}
	}
	return c.catchUp(w, d)
}

// read reads what comes next from the log, into left if it is not in the ring
// then. It reports whether there may be more to do at once.
func (c *hubConn) read(ctx context.Context, d *delivery) (more bool) {
	version := d.tail.version.Load()
	page, kept, err := d.feed.read(ctx, d.cursor)
	if lost, ok := errors.AsType[*PosLostError](err); ok {
		c.lose(d, lost.Floor)
		return true
	}
	if err != nil {
		if ctx.Err() == nil {
			c.hub.opts.Logger.WarnContext(ctx, "messages: a topic cannot be read; trying again", "topic", d.feed.key.topic, "error", err)
			c.troubled = true
		}
		return false
	}
	if kept {
		return true
	}
	if d.last = 0; !page.More {
		d.last = version
	}
	if len(page.Items) == 0 {
		d.seen = d.last
		return page.More
	}
	d.left = make([]*frame, 0, len(page.Items))
	for _, item := range page.Items {
		d.left = append(d.left, d.tail.frame(item))
	}
	return false
}

// catchUp writes what was read from the log, until membership changes: then the
// rest waits for current membership. It reports whether there may be more to do
// at once.
func (c *hubConn) catchUp(w *writer, d *delivery) (more bool, err error) {
	for len(d.left) > 0 {
		if c.stale.Load() {
			return true, nil
		}
		n := 1
		for bytes := len(d.left[0].wire); n < len(d.left) && n < pageSize && !d.left[n].gap && !d.left[0].gap; n++ {
			if bytes += len(d.left[n].wire); bytes > batchBytes {
				break
			}
		}
		b := batch{frames: d.left[:n]}
		b.join(&w.wire)
		if _, err := c.pass(w, d, &b, true); err != nil {
			return false, err
		}
		written := slices.IndexFunc(d.left, func(f *frame) bool { return f.pos == d.cursor })
		d.left = d.left[written+1:]
	}
	d.left, d.seen = nil, d.last
	return d.last == 0, nil
}

// pass writes a batch that begins behind the cursor. It reports whether there is
// more to do at once.
func (c *hubConn) pass(w *writer, d *delivery, b *batch, block bool) (more bool, err error) {
	frames, wire := b.frames, b.wire
	if len(frames) > 0 && frames[0].gap {
		d.gap = &gap{since: d.cursor, at: frames[0].pos}
		return true, c.sendGap(w, d, block)
	}
	if now := c.hub.clock.Now(); b.oldest.Before(d.since) || over(b.end, now) {
		frames, wire = w.narrow(d.since, now, b)
	}
	for len(frames) > 0 {
		sent, err := c.write(w, d, frames, wire)
		c.hub.sent.Add(uint64(sent))
		switch {
		case err != nil:
			return false, err
		case sent == 0 && c.stale.Load():
			return true, nil // what is left waits for current membership
		case sent < len(frames) && !block:
			return false, errWait
		}
		for _, f := range frames[:sent] {
			wire = wire[len(f.wire):]
		}
		if frames = frames[sent:]; len(frames) > 0 {
			if err := c.out.flush(); err != nil {
				return false, err
			}
		}
	}
	if n := len(b.frames); n > 0 {
		c.advance(d, b.frames[n-1].pos) // what is not to be seen is passed over
	}
	if !b.more {
		d.seen = b.version
	}
	return b.more, nil
}

// write gives the transport what it takes at once, unless membership has changed
// in between, and moves the cursor. An acknowledgement waits for it, so that
// none comes from where the connection does not yet know it is.
func (c *hubConn) write(w *writer, d *delivery, frames []*frame, wire []byte) (sent int, err error) {
	if c.out.ids() { // it may take its time, and nobody acknowledges
		if c.stale.Load() {
			return 0, nil
		}
		c.advance(d, frames[0].pos)
		return c.out.send(w, frames[:1], frames[0].wire, func() string { return formatCursors(c.cursors()) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale.Load() {
		return 0, nil
	}
	if sent, err = c.out.send(w, frames, wire, nil); sent > 0 {
		d.cursor = frames[sent-1].pos
	}
	return sent, err
}

// over reports whether an end has come; zero is none.
func over(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

// narrow leaves out of a batch what happened before a time and what has expired.
func (w *writer) narrow(since, now time.Time, b *batch) (frames []*frame, wire []byte) {
	w.frames, w.wire = w.frames[:0], w.wire[:0]
	for _, f := range b.frames {
		if !f.time.Before(since) && !over(f.end, now) {
			w.frames, w.wire = append(w.frames, f), append(w.wire, f.wire...)
		}
	}
	return w.frames, w.wire
}

// advance moves a cursor.
func (c *hubConn) advance(d *delivery, to Pos) {
	c.mu.Lock()
	d.cursor = to
	c.mu.Unlock()
}

// gapData is the data of a lodge.gap event.
type gapData struct {
	Topic string `json:"topic"`
	Since string `json:"since"` // the client's last position; empty: the beginning
	// Position is from where the topic goes on; empty: from its beginning.
	Position string `json:"position"`
}

// sendGap tells of a delivery's gap.
func (c *hubConn) sendGap(w *writer, d *delivery, block bool) error {
	g, topic := d.gap, d.feed.key.topic
	data, err := json.Marshal(gapData{Topic: topic, Since: g.since.String(), Position: g.at.String()})
	if err != nil {
		return err
	}
	// The same gap has the same id wherever it is told again.
	e := Event{
		ID:   "gap:" + url.QueryEscape(topic) + ":" + g.since.String() + ":" + g.at.String(),
		Type: TypeGap, Time: c.hub.clock.Now(), Data: data,
	}
	b, err := e.encode(topic, g.at.String(), "")
	if err != nil {
		return err
	}
	c.advance(d, g.at)
	if err := c.send(w, newFrame(b), true, block); err != nil {
		return err
	}
	d.gap = nil
	return nil
}

// caughtUpData is the data of a lodge.caught-up event: every topic that is
// delivered, with the position from which the client has everything, so that it
// can come back to topics that were silent too.
type caughtUpData struct {
	Positions map[string]string `json:"positions"`
}

func (c *hubConn) caughtUpFrame() (*frame, error) {
	data := caughtUpData{Positions: make(map[string]string, len(c.topics))}
	for _, d := range c.topics {
		data.Positions[d.feed.key.topic] = d.cursor.String()
	}
	e, err := NewEvent(TypeCaughtUp, "", c.hub.clock.Now(), data)
	if err != nil {
		return nil, err
	}
	b, err := e.encode("", "", "")
	if err != nil {
		return nil, err
	}
	return newFrame(b), nil
}
