package messaging

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/lodge-gateway/lodge"
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
}

func (e *ending) Error() string {
	return fmt.Sprintf("messaging: closed with %d: %s", e.code, e.reason)
}

var (
	endGoingAway = &ending{websocket.StatusGoingAway, "the server is restarting; connect again"}
	endTooSlow   = &ending{websocket.StatusTryAgainLater, "too slow; connect again"}
	endStranger  = &ending{CloseRevoked, "the session is not the one that was checked"}
	endLost      = &ending{CloseLost, "the session could not be checked; connect again"}
	endBinary    = &ending{websocket.StatusUnsupportedData, "frames must be text"}
	endSyntax    = &ending{websocket.StatusUnsupportedData, errFrameSyntax.Error()}
	endTooMany   = &ending{websocket.StatusPolicyViolation, "too many frames"}
)

// maxReason is what a close frame holds besides its code, in bytes.
const maxReason = 123

// endOf says how a connection ends when its membership cannot be derived.
func endOf(err error) *ending {
	e := &ending{CloseExpired, "the session is over; sign in again"}
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
	c.sub = sub
	narrowed := c.narrowed
	c.mu.Unlock()
	c.align(ctx, sub, func(topic string) bool { return narrowed == nil || narrowed[topic] })
	return nil
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

// align begins and ends deliveries so that they are those of sub that wanted
// accepts, in sub's order. A topic that cannot be begun is tried again.
func (c *hubConn) align(ctx context.Context, sub Subscriber, wanted func(string) bool) {
	keep := make(map[string]*delivery, len(c.topics))
	for _, d := range c.topics {
		if slices.Contains(sub.Topics, d.name) && wanted(d.name) {
			keep[d.name] = d
		} else {
			c.end(d)
		}
	}
	c.topics = c.topics[:0]
	for _, name := range sub.Topics {
		if !wanted(name) || c.delivers(name) {
			continue
		}
		d, ok := keep[name]
		if !ok {
			var err error
			d, err = c.begin(ctx, name, sub.Since[name])
			if err != nil {
				c.hub.opts.Logger.WarnContext(ctx, "messages: a topic cannot be begun; trying again", "topic", name, "error", err)
				c.troubled = true
				continue
			}
		}
		d.since = sub.Since[name]
		c.topics = append(c.topics, d)
	}
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
