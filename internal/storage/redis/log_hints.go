package redis

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/lodge-gateway/lodge/messaging"
)

const (
	// logChannel carries the hints of all nodes.
	logChannel = "lodge:log"
	// logHintPause is how long a node gathers hints after it has sent some: a busy
	// one sends 500 messages a second whatever it appends, each topic once.
	logHintPause = 2 * time.Millisecond
	// logHintTopics is how many topics one message names at most.
	logHintTopics = 1000
	// logHintRetry is how long a node waits before it subscribes again.
	logHintRetry = 200 * time.Millisecond
)

// logHints tell one's own listeners at once, and the other nodes' through publish
// and subscribe. What gets lost on the way, who polls the heads repairs.
type logHints struct {
	local *messaging.Calls // static
	node  string           // static: names this log among all
	wake  chan struct{}    // capacity 1: something is pending

	mu      sync.Mutex
	pending map[messaging.Topic]struct{} // guarded by mu: to be told to others
}

func (h *logHints) start(l *Log) {
	h.local = l.calls
	h.node, h.wake, h.pending = rand.Text(), make(chan struct{}, 1), map[messaging.Topic]struct{}{}
	l.work.Go(func() { h.announce(l.calls.Life(), l.client) })
	l.work.Go(func() {
		for l.calls.Life().Err() == nil {
			h.listen(l.calls.Life(), l.client)
			logWait(l.calls.Life(), logHintRetry)
		}
	})
}

// publish hints that a topic changed. It waits for nobody.
func (h *logHints) publish(name messaging.Topic) {
	h.local.Publish(name)
	h.mu.Lock()
	h.pending[name] = struct{}{}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default: // already told
	}
}

// announce sends what is pending to the other nodes until ctx ends.
func (h *logHints) announce(ctx context.Context, client redis.UniversalClient) {
	for {
		select {
		case <-h.wake:
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
		pending := h.pending
		h.pending = map[messaging.Topic]struct{}{}
		h.mu.Unlock()
		var names []messaging.Topic
		send := func() {
			if len(names) > 0 {
				_ = client.Publish(ctx, logChannel, packHints(h.node, names)).Err() // a hint may be missing
			}
			names = names[:0]
		}
		for name := range pending {
			if names = append(names, name); len(names) == logHintTopics {
				send()
			}
		}
		send()
		if !logWait(ctx, logHintPause) {
			return
		}
	}
}

// listen passes on what other nodes hint, until the subscription breaks or ctx
// ends.
func (h *logHints) listen(ctx context.Context, client redis.UniversalClient) {
	sub := client.Subscribe(ctx, logChannel)
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
		got, err := sub.ReceiveTimeout(ctx, quiet)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && !asked && ctx.Err() == nil {
			asked, err = true, sub.Ping(ctx)
			if err == nil {
				continue
			}
		}
		if err != nil || ctx.Err() != nil {
			return
		}
		asked = false
		if message, ok := got.(*redis.Message); ok {
			node, names := unpackHints(message.Payload)
			if node == h.node {
				continue
			}
			for _, name := range names {
				h.local.Publish(name)
			}
		}
	}
}

// packHints writes a node and topics, each behind its length.
func packHints(node string, names []messaging.Topic) string {
	var b strings.Builder
	var size [binary.MaxVarintLen64]byte
	put := func(text string) {
		b.Write(size[:binary.PutUvarint(size[:], uint64(len(text)))])
		b.WriteString(text)
	}
	put(node)
	for _, name := range names {
		put(string(name))
	}
	return b.String()
}

// unpackHints reads what packHints wrote. What is none of it is left out.
func unpackHints(text string) (node string, names []messaging.Topic) {
	for first := true; len(text) > 0; first = false {
		size, n := binary.Uvarint([]byte(text[:min(len(text), binary.MaxVarintLen64)]))
		if n <= 0 || size > uint64(len(text)-n) {
			break
		}
		field := text[n:][:size]
		text = text[n:][size:]
		if first {
			node = field
		} else {
			names = append(names, messaging.Topic(field))
		}
	}
	return node, names
}
