package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"
)

// A delivery is one topic of a connection, owned by the connection's run.
type delivery struct {
	name        string
	feed        *feed
	unsubscribe func()
	cursor      Pos       // everything up to here was written
	since       time.Time // entries made earlier are not to be seen; zero: no bound
	gap         *gap      // to be told before anything else
}

// A gap is what could not be replayed.
type gap struct {
	since Pos // where the client was
	at    Pos // from where it goes on
}

// begin subscribes a connection to a topic and finds where it starts. With an
// error nothing is held.
func (c *hubConn) begin(ctx context.Context, name string, since time.Time) (*delivery, error) {
	f := c.hub.join(c, name)
	d := &delivery{name: name, since: since, feed: f}
	d.unsubscribe = f.tail.Subscribe(c.wake) // register, then read
	resume, known := c.resume[name]
	if err := c.position(ctx, d, resume, known); err != nil {
		d.unsubscribe()
		c.hub.part(c, f)
		return nil, err
	}
	delete(c.resume, name)
	c.mu.Lock()
	c.sent[name] = d.cursor
	c.mu.Unlock()
	return d, nil
}

// end stops the delivery of a topic and remembers where it was.
func (c *hubConn) end(d *delivery) {
	d.unsubscribe()
	c.hub.part(c, d.feed)
	c.resume[d.name] = d.cursor
	c.mu.Lock()
	delete(c.sent, d.name)
	c.mu.Unlock()
}

// position sets a delivery's cursor: where the client says it was, if that
// place is still there, with the gap if it is not; else at the start of the
// history that a new client is given.
func (c *hubConn) position(ctx context.Context, d *delivery, resume Pos, known bool) error {
	if !known {
		history := c.hub.opts.History
		page, err := c.hub.topics.ReadBack(ctx, c.tenant, d.name, Pos{}, history+1)
		if err != nil {
			return err
		}
		d.cursor = page.Floor
		if len(page.Items) > history {
			d.cursor = page.Items[history].Pos
		}
		return nil
	}
	// The zero position is one, too: of a client that has seen the topic empty.
	d.cursor = resume
	_, err := d.feed.tail.After(ctx, resume, 1)
	if lost, ok := errors.AsType[*PosLostError](err); ok {
		d.lost(lost.Floor)
		return nil
	}
	return err
}

// lost moves the cursor to the floor of the topic and notes the gap.
func (d *delivery) lost(floor Pos) {
	since := d.cursor
	if d.gap != nil {
		since = d.gap.since
	}
	d.gap = &gap{since: since, at: floor}
	d.cursor = floor
}

// deliver writes up to a page of a topic. It reports whether there may be more.
func (c *hubConn) deliver(ctx context.Context, d *delivery) (more bool, err error) {
	if c.stale.Load() {
		return true, nil
	}
	if d.gap != nil {
		if err := c.writeGap(d); err != nil {
			return false, err
		}
	}
	items, err := d.feed.tail.After(ctx, d.cursor, pageSize)
	if lost, ok := errors.AsType[*PosLostError](err); ok {
		d.lost(lost.Floor)
		return true, nil
	}
	if err != nil {
		if ctx.Err() == nil {
			c.hub.opts.Logger.WarnContext(ctx, "messages: a topic cannot be read; trying again", "topic", d.name, "error", err)
			c.troubled = true
		}
		return false, nil
	}
	for _, item := range items {
		if c.stale.Load() {
			return true, nil // what is left waits for current membership
		}
		if err := c.writeItem(ctx, d, item); err != nil {
			return false, err
		}
	}
	return len(items) == pageSize, nil
}

func (c *hubConn) writeItem(ctx context.Context, d *delivery, item Item) error {
	if item.Gap {
		d.gap = &gap{since: d.cursor, at: item.Pos}
		return c.writeGap(d)
	}
	fr, err := d.feed.frame(item)
	if err != nil {
		c.hub.opts.Logger.ErrorContext(ctx, "messages: an entry is not an event", "topic", d.name, "id", item.ID, "sequence", item.Pos.Seq, "error", err)
		d.gap = &gap{since: d.cursor, at: item.Pos}
		return c.writeGap(d)
	}
	c.advance(d, item.Pos)
	if fr.time.Before(d.since) {
		return nil
	}
	return c.out.write(fr.bytes, c.resumeID())
}

// advance moves a cursor; it comes before the write, so that an acknowledgement
// never comes from where the connection does not yet know it is.
func (c *hubConn) advance(d *delivery, to Pos) {
	d.cursor = to
	c.mu.Lock()
	c.sent[d.name] = to
	c.mu.Unlock()
}

// gapData is the data of a lodge.gap event.
type gapData struct {
	Topic string `json:"topic"`
	Since string `json:"since"` // the client's last position; empty: the beginning
	// Position is from where the topic goes on; empty: from its beginning.
	Position string `json:"position"`
}

func (c *hubConn) writeGap(d *delivery) error {
	g := *d.gap
	d.gap = nil
	data, err := json.Marshal(gapData{Topic: d.name, Since: g.since.String(), Position: g.at.String()})
	if err != nil {
		return err
	}
	// The same gap has the same id wherever it is told again.
	e := Event{
		ID:   "gap:" + url.QueryEscape(d.name) + ":" + g.since.String() + ":" + g.at.String(),
		Type: TypeGap, Time: c.hub.clock.Now(), Data: data,
	}
	b, err := e.encode(d.name, g.at.String(), "")
	if err != nil {
		return err
	}
	c.advance(d, g.at)
	return c.out.write(b, c.resumeID())
}

// caughtUpData is the data of a lodge.caught-up event: every topic that is
// delivered, with the position from which the client has everything, so that it
// can come back to topics that were silent too.
type caughtUpData struct {
	Positions map[string]string `json:"positions"`
}

func (c *hubConn) caughtUpFrame() ([]byte, error) {
	data := caughtUpData{Positions: make(map[string]string, len(c.topics))}
	for _, d := range c.topics {
		data.Positions[d.name] = d.cursor.String()
	}
	e, err := NewEvent(TypeCaughtUp, "", c.hub.clock.Now(), data)
	if err != nil {
		return nil, err
	}
	return e.encode("", "", "")
}
