package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

const (
	channelPrefix, channelSuffix = "lodge:{", "}:signals"

	// quiet is how long a subscription may hear nothing before it is asked whether
	// it is still there.
	quiet = 10 * time.Second
)

// Signals are the sessions.Signals on Redis' publish and subscribe: one channel
// per tenant, carrying session ids with a line break between them, and behind them
// what became of them and whose they are.
type Signals struct{ db *DB }

var _ sessions.Signals = (*Signals)(nil)

// NewSignals returns the signals of a Redis.
func NewSignals(db *DB) *Signals { return &Signals{db} }

// Publish implements sessions.Signals.
func (sg *Signals) Publish(ctx context.Context, s sessions.Signal) error {
	ids := make([]string, len(s.IDs))
	for i, id := range s.IDs {
		ids[i] = string(id)
	}
	if s.Change != "" {
		ids = append(ids, string(s.Change)+" "+string(s.Person))
	}
	if err := sg.db.client.Publish(ctx, channelPrefix+string(s.Tenant)+channelSuffix, strings.Join(ids, "\n")).Err(); err != nil {
		return fmt.Errorf("redis: publish: %w", err)
	}
	return nil
}

// Subscribe implements sessions.Signals. It does not outlive its connection:
// the caller subscribes again, and learns that hints may have been lost.
func (sg *Signals) Subscribe(ctx context.Context, fn func(sessions.Signal)) error {
	return subscribe(ctx, sg.db.client, channelPrefix+"*"+channelSuffix,
		func() { fn(sessions.Signal{}) },
		func(channel, text string) {
			if s, ok := signalOf(channel, text); ok {
				fn(s)
			}
		})
}

// subscribe calls stands once the subscription to a pattern of channels does, and
// got for each message, until ctx ends or the connection fails.
func subscribe(ctx context.Context, client redis.UniversalClient, pattern string, stands func(), got func(channel, text string)) error {
	sub := client.PSubscribe(ctx, pattern)
	// A subscription waits on its socket, not on ctx: closing it ends the wait. A
	// second Close has nothing to close and says so.
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(closed); _ = sub.Close() })
	defer func() {
		if stop() {
			_ = sub.Close()
		} else {
			<-closed
		}
	}()
	asked := false
	for {
		next, err := sub.ReceiveTimeout(ctx, quiet)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && !asked {
			asked, err = true, sub.Ping(ctx)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("redis: subscription: %w", err)
		}
		asked = false
		switch next := next.(type) {
		case *redis.Subscription:
			stands()
		case *redis.Message:
			got(next.Channel, next.Payload)
		}
	}
}

// signalOf reads a message; what is none of ours is left out.
func signalOf(channel, text string) (sessions.Signal, bool) {
	tenant, ok := strings.CutSuffix(strings.TrimPrefix(channel, channelPrefix), channelSuffix)
	if !ok || tenant == "" {
		return sessions.Signal{}, false
	}
	s := sessions.Signal{Tenant: lodge.Tenant(tenant)}
	for name := range strings.SplitSeq(text, "\n") {
		if id := sessions.ID(name); id.Valid() {
			s.IDs = append(s.IDs, id)
		} else if change, person, ok := strings.Cut(name, " "); ok {
			s.Change, s.Person = sessions.Change(change), lodge.PersonID(person)
		}
	}
	return s, len(s.IDs) > 0 || s.Change != ""
}
