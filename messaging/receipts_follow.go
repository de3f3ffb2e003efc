package messaging

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"

	"github.com/lodge-gateway/lodge"
)

// A cursorFeed is how far this node has read a tenant's topicCursors for what
// other nodes persist, to report it to the senders who are here.
type cursorFeed struct {
	tail        *Tail
	unsubscribe func()
	begun       bool // owned by Run, as is at
	at          Pos
}

// follow has what other nodes persist of a tenant's receipts reported here, too.
func (b *receiptBook) follow(tenant lodge.Tenant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.feeds[tenant] != nil {
		return
	}
	tail := b.topics.Open(tenant, topicCursors)
	b.feeds[tenant] = &cursorFeed{tail: tail, unsubscribe: tail.Subscribe(b.news)}
	poke(b.news)
}

// hear notes the topics in which other nodes have moved cursors. It reports
// whether there are any; with an error it is to be called again.
func (b *receiptBook) hear(ctx context.Context) (moved bool, err error) {
	b.mu.Lock()
	feeds := maps.Clone(b.feeds)
	b.mu.Unlock()
	var errs []error
	for tenant, f := range feeds {
		topics, err := f.read(ctx, b.node)
		errs = append(errs, err)
		b.mu.Lock()
		for topic := range topics {
			b.moved[topicKey{tenant, topic}] = struct{}{}
			moved = true
		}
		b.mu.Unlock()
	}
	return moved, errors.Join(errs...)
}

// read returns the topics in which cursors were moved since the last time, but
// by this node, which knows already.
func (f *cursorFeed) read(ctx context.Context, node string) (map[string]struct{}, error) {
	topics := make(map[string]struct{})
	for {
		if !f.begun {
			head, err := f.tail.Head(ctx)
			if err != nil {
				return topics, err
			}
			f.at, f.begun = head, true
		}
		items, err := f.tail.After(ctx, f.at, feedPage)
		if _, lost := errors.AsType[*PosLostError](err); lost {
			f.begun = false // what was missed is there for the asking
			continue
		}
		if err != nil || len(items) == 0 {
			return topics, err
		}
		for _, item := range items {
			f.at = item.Pos
			var e cursorEntry
			if item.Gap || strings.HasPrefix(item.ID, node) || json.Unmarshal(item.Body, &e) != nil {
				continue
			}
			for _, m := range e.Moves {
				topics[m.Topic] = struct{}{}
			}
		}
	}
}
