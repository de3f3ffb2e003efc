package messaging

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/lodge-gateway/lodge"
)

// admit makes a connection of a request whose session the gateway has checked:
// it is entered into the hub's tables first, and what the session is entitled to
// is read after that, so that no change in between is missed. Every admitted
// connection must leave. Errors are *lodge.Error; nothing has been answered yet.
func (h *Hub) admit(r *http.Request, sub Subscriber) (*hubConn, error) {
	resume, err := parseCursors(append(slices.Clone(r.URL.Query()["resume"]), r.Header.Values("Last-Event-ID")...)...)
	if err != nil {
		return nil, lodge.Wrap(lodge.CodeInvalid, "resume must be a list of topic~position as they were given; leave it out to start again", err)
	}
	now := h.clock.Now()
	c := &hubConn{
		hub: h, tenant: unique.Make(sub.Tenant).Value(), session: strings.Clone(sub.Session), person: lodge.PersonID(strings.Clone(string(sub.Person))),
		started: now, resume: resume,
	}
	c.sub = c.own(sub)
	c.state.Store(connBusy) // its first turn is the caller's
	c.seen.Store(now.UnixMicro())
	if err := h.enter(c, sub.Name); err != nil {
		return nil, err
	}
	if err := c.join(r.Context()); err != nil {
		h.leave(c)
		return nil, err
	}
	h.mu.Lock()
	c.present = true
	key := personKey{c.tenant, c.person}
	h.report(key, h.people[key].presence(c.person))
	h.mu.Unlock()
	return c, nil
}

// join has changes of the session told, and reads what it is entitled to for the
// first time.
func (c *hubConn) join(ctx context.Context) error {
	sub, stop, err := c.hub.members.Join(ctx, c.session, c.tenant, c.hinted)
	c.unwatch = stop // nil if it failed; else leave calls it
	switch {
	case err != nil && unreachable(err):
		return &lodge.Error{Code: lodge.CodeUnavailable, Safe: "messages cannot be reached right now; try again in a moment", RetryAfter: time.Second, Err: err}
	case err != nil:
		return err
	case sub.Tenant != c.tenant || sub.Person != c.person || sub.Session != c.session:
		return lodge.E(lodge.CodeForbidden, "this session may not read messages")
	}
	c.mu.Lock()
	c.sub = c.own(sub)
	c.mu.Unlock()
	return nil
}

// own returns sub without what it shares with the answer of a store: names are
// pieces of that, and a connection that kept one would keep all of it.
func (c *hubConn) own(sub Subscriber) Subscriber {
	sub.Tenant, sub.Person, sub.Session = c.tenant, c.person, c.session
	if sub.Name == c.sub.Name {
		sub.Name = c.sub.Name
	} else {
		sub.Name = strings.Clone(sub.Name)
	}
	return sub
}

// enter adds a connection to the hub's tables, within the caps.
func (h *Hub) enter(c *hubConn, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.drained {
		return &lodge.Error{Code: lodge.CodeUnavailable, Safe: "the server is restarting; try again in a moment", RetryAfter: time.Second}
	}
	if len(h.conns) >= h.opts.MaxConnections {
		return &lodge.Error{Code: lodge.CodeUnavailable, Safe: "there are too many message connections; try again later", RetryAfter: 10 * time.Second}
	}
	key := personKey{c.tenant, c.person}
	a := h.people[key]
	if a == nil {
		a = &attendee{}
		h.people[key] = a
	}
	if len(a.conns) >= h.opts.MaxPerPerson {
		return &lodge.Error{Code: lodge.CodeTooMany, Safe: "too many of your pages are connected; close some and try again", RetryAfter: 10 * time.Second}
	}
	a.name = strings.Clone(name)
	a.conns = append(a.conns, c)
	h.conns[c] = struct{}{}
	h.wheel.add(c)
	return nil
}

// leave takes a connection out of everything it is in. Its turns and its reader
// have ended.
func (h *Hub) leave(c *hubConn) {
	h.wheel.remove(c)
	if c.retry != nil {
		c.retry.Stop()
	}
	if c.unwatch != nil {
		c.unwatch()
	}
	for _, d := range c.topics {
		h.part(d)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	key := personKey{c.tenant, c.person}
	if a := h.people[key]; a != nil {
		if c.present {
			h.report(key, a.presence(c.person))
		}
		a.conns = slices.DeleteFunc(a.conns, func(other *hubConn) bool { return other == c })
		if len(a.conns) == 0 {
			delete(h.people, key)
		}
	}
	delete(h.conns, c)
	if h.drained && len(h.conns) == 0 {
		close(h.idle)
	}
}

// cursors returns where a client that got all frames so far goes on.
func (c *hubConn) cursors() map[string]Pos {
	all := make(map[string]Pos, len(c.resume)+len(c.topics))
	maps.Copy(all, c.resume)
	for _, d := range c.topics {
		all[d.feed.key.topic] = d.cursor
	}
	return all
}
