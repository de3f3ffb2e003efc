package messaging

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/ws"
)

// The close codes of the message socket besides the protocol's own.
const (
	CloseExpired websocket.StatusCode = 4401 // the session is over: sign in again
	CloseRevoked websocket.StatusCode = 4403 // the session or its right to messages was taken back
	CloseLost    websocket.StatusCode = 4408 // the right could not be checked for too long
)

// An ending is why the hub ends a connection. Its reason is safe to show and
// shorter than the 123 bytes of a close frame.
type ending struct {
	code   websocket.StatusCode
	reason string
	after  time.Duration // when to connect again; zero: nothing is said
}

func (e *ending) Error() string {
	return fmt.Sprintf("messaging: closed with %d: %s", e.code, e.reason)
}

var (
	endTooSlow  = &ending{code: websocket.StatusTryAgainLater, reason: "too slow; connect again"}
	endStranger = &ending{code: CloseRevoked, reason: "the session is not the one that was checked"}
	endLost     = &ending{code: CloseLost, reason: "the session could not be checked; connect again"}
	endBinary   = &ending{code: websocket.StatusUnsupportedData, reason: "frames must be text"}
	endSyntax   = &ending{code: websocket.StatusUnsupportedData, reason: errFrameSyntax.Error()}
	endTooMany  = &ending{code: websocket.StatusPolicyViolation, reason: "too many frames"}
)

// maxReason is what a close frame holds besides its code, in bytes.
const maxReason = ws.MaxReason

// endOf says how a connection ends when its membership cannot be derived.
func endOf(err error) *ending {
	e := &ending{code: CloseExpired, reason: "the session is over; sign in again"}
	if known, ok := errors.AsType[*lodge.Error](err); ok {
		if known.Code == lodge.CodeForbidden {
			e.code = CloseRevoked
		}
		e.reason = known.Safe
	}
	if len(e.reason) > maxReason {
		e.reason = strings.ToValidUTF8(e.reason[:maxReason], "")
	}
	return e
}

// follow derives membership again if it may have changed, and begins and ends
// deliveries to match. After it, and until stale is set again, every topic in
// c.topics is one the session is entitled to.
func (c *hubConn) follow(ctx context.Context) error {
	if !c.stale.Swap(false) {
		if !c.begun { // what it begins with was read just now
			c.align(ctx, c.subscriber(), nil)
		}
		return nil
	}
	if c.lost.Load() {
		return endLost
	}
	// An answer that does not come must not keep the connection from its end.
	asking, cancel := context.WithTimeout(ctx, c.hub.opts.Grace/5)
	sub, err := c.hub.members.Topics(asking, c.session, c.tenant)
	cancel()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && unreachable(err):
		return c.doubt(ctx, err)
	case err != nil:
		return endOf(err)
	case sub.Tenant != c.tenant || sub.Person != c.person || sub.Session != c.session:
		// A session never changes hands; if this one did, it is not the one that
		// was authenticated.
		return endStranger
	}
	c.unsure = time.Time{}
	c.mu.Lock()
	narrowed := c.narrowed
	c.mu.Unlock()
	c.align(ctx, sub, narrowed)
	return nil
}

// Reconsider has the connections of a person on this node ask for their topics
// again before their next frame: what they may hear has changed. It does not wait.
func (h *Hub) Reconsider(tenant lodge.Tenant, person lodge.PersonID) {
	h.mu.Lock()
	var conns []*hubConn
	if a := h.people[personKey{tenant, person}]; a != nil {
		conns = slices.Clone(a.conns)
	}
	h.mu.Unlock()
	for _, c := range conns {
		c.invalidate()
	}
}

// unreachable reports whether err says nothing about the session.
func unreachable(err error) bool {
	code := lodge.CodeOf(err)
	return code == lodge.CodeUnavailable || code == lodge.CodeInternal ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// doubt lets a connection live on what is known for the grace period.
func (c *hubConn) doubt(ctx context.Context, err error) error {
	now := c.hub.clock.Now()
	if c.unsure.IsZero() {
		c.unsure = now
		c.hub.opts.Logger.WarnContext(ctx, "messages: membership cannot be read; trying again", "session", c.session, "error", err)
	}
	if now.Sub(c.unsure) >= c.hub.opts.Grace {
		return endLost
	}
	c.troubled = true
	return nil
}

// align begins and ends deliveries so that they are those of sub, and in
// narrowed if that is not nil, in sub's order. A topic that cannot be begun is
// tried again.
func (c *hubConn) align(ctx context.Context, sub Subscriber, narrowed map[string]bool) {
	wanted := func(topic string) bool { return narrowed == nil || narrowed[topic] }
	kept := make([]*delivery, 0, len(sub.Topics))
	var left []*delivery
	for _, d := range c.topics {
		if name := d.feed.key.topic; slices.Contains(sub.Topics, name) && wanted(name) {
			kept = append(kept, d)
		} else {
			left = append(left, d)
		}
	}
	c.mu.Lock() // nothing live is taken for what is left
	c.topics = kept
	c.mu.Unlock()
	for _, d := range left {
		c.end(d)
	}
	var names []string
	for i, name := range sub.Topics {
		if wanted(name) && c.delivery(name) == nil && !slices.Contains(sub.Topics[:i], name) {
			names = append(names, name)
		}
	}
	topics := slices.Concat(kept, c.begin(ctx, names))
	rank := func(d *delivery) int { return slices.Index(sub.Topics, d.feed.key.topic) }
	slices.SortFunc(topics, func(a, b *delivery) int { return cmp.Compare(rank(a), rank(b)) })
	sub.Topics = slices.Clone(sub.Topics)
	for _, d := range topics {
		d.since = sub.Since[d.feed.key.topic]
		sub.Topics[rank(d)] = d.feed.key.topic // all connections share one copy of the name
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics, c.sub, c.begun = slices.Clip(topics), c.own(sub), true
}

// narrow limits the connection to topics among those it has; it never adds.
func (c *hubConn) narrow(topics []string) {
	c.mu.Lock()
	now := make(map[string]bool, len(topics))
	for _, name := range topics {
		// Only a topic that is entitled now can be kept: the list is no claim on
		// one that membership may bring later.
		if (c.narrowed == nil || c.narrowed[name]) && slices.Contains(c.sub.Topics, name) {
			now[strings.Clone(name)] = true
		}
	}
	c.narrowed = now
	c.mu.Unlock()
	c.invalidate()
}
