package messaging

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// The states of a receipt, in order.
const (
	ReceiptSent      = "sent"      // stored for the person
	ReceiptDelivered = "delivered" // one of the person's clients acknowledged it
	ReceiptRead      = "read"      // the person has read it
)

// A Receipt is what is known of one message and one person.
type Receipt struct {
	Person lodge.PersonID
	State  string
}

// A receiptBook keeps the cursors of a node's tenants: what was moved lately in
// memory, all else in each tenant's topicCursors.
type receiptBook struct {
	topics *Topics
	log    *slog.Logger
	node   string        // begins the ids of the entries that this node persists
	wake   chan struct{} // capacity 1: a cursor moved
	news   chan struct{} // capacity 1: cursors were persisted, by this node or another

	mu       sync.Mutex // guards what follows
	closed   bool
	feeds    map[lodge.Tenant]*cursorFeed
	tables   map[lodge.Tenant]*Projection[cursorTable]
	pending  map[lodge.Tenant]cursorTable // moved and not yet persisted
	moved    map[topicKey]struct{}        // topics to report on
	reported map[topicKey]map[string]receiptData
}

func newReceiptBook(topics *Topics, log *slog.Logger) *receiptBook {
	return &receiptBook{
		topics: topics, log: log, node: rand.Text(), wake: make(chan struct{}, 1), news: make(chan struct{}, 1),
		feeds:    make(map[lodge.Tenant]*cursorFeed),
		tables:   make(map[lodge.Tenant]*Projection[cursorTable]),
		pending:  make(map[lodge.Tenant]cursorTable),
		moved:    make(map[topicKey]struct{}),
		reported: make(map[topicKey]map[string]receiptData),
	}
}

// move notes that a person has come as far as pos.
func (b *receiptBook) move(tenant lodge.Tenant, topic string, person lodge.PersonID, pos Pos, read bool) {
	c := receiptCursor{Delivered: pos}
	if read {
		c.Read = pos
	}
	b.mu.Lock()
	if b.pending[tenant] == nil {
		b.pending[tenant] = make(cursorTable)
	}
	b.pending[tenant].move(topic, person, c)
	b.moved[topicKey{tenant, topic}] = struct{}{}
	b.mu.Unlock()
	poke(b.wake)
}

// table returns a tenant's projection.
func (b *receiptBook) table(tenant lodge.Tenant) (*Projection[cursorTable], error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, lodge.Wrap(lodge.CodeUnavailable, "the server is restarting; try again in a moment", ErrClosed)
	}
	p, ok := b.tables[tenant]
	if !ok {
		p = Project(b.topics, tenant, topicCursors, foldCursors, cursorCodec)
		b.tables[tenant] = p
	}
	return p, nil
}

// of returns the cursors that some people have in a topic, in their order, the ones
// not yet persisted included. It costs as much as there are people to ask about.
func (b *receiptBook) of(ctx context.Context, tenant lodge.Tenant, topic string, people []lodge.PersonID) ([]receiptCursor, error) {
	p, err := b.table(tenant)
	if err != nil {
		return nil, err
	}
	cursors := make([]receiptCursor, len(people))
	// First what is pending: it may be persisted in between, never forgotten.
	b.mu.Lock()
	pending := b.pending[tenant][topic]
	for i, person := range people {
		cursors[i] = pending[person]
	}
	b.mu.Unlock()
	err = p.View(ctx, func(t *cursorTable) {
		stored := (*t)[topic]
		for i, person := range people {
			cursors[i] = stored[person].merge(cursors[i]) // what is pending comes later than what is persisted
		}
	})
	return cursors, err
}

// each calls fn with the cursors of everybody in a topic, the ones not yet persisted
// included. fn must not call the book.
func (b *receiptBook) each(ctx context.Context, tenant lodge.Tenant, topic string, fn func(lodge.PersonID, receiptCursor)) error {
	p, err := b.table(tenant)
	if err != nil {
		return err
	}
	b.mu.Lock() // first what is pending, as in of
	pending := maps.Clone(b.pending[tenant][topic])
	b.mu.Unlock()
	return p.View(ctx, func(t *cursorTable) {
		for person, c := range (*t)[topic] {
			if later, ok := pending[person]; ok {
				c = c.merge(later)
				delete(pending, person)
			}
			fn(person, c)
		}
		for person, c := range pending {
			fn(person, c)
		}
	})
}

// Receipts returns what is known of the message at a position of a topic for
// each of people, in their order.
func (h *Hub) Receipts(ctx context.Context, tenant lodge.Tenant, topic string, pos Pos, people []lodge.PersonID) ([]Receipt, error) {
	cursors, err := h.receipts.of(ctx, tenant, topic, people)
	if err != nil {
		return nil, err
	}
	receipts := make([]Receipt, len(people))
	for i, person := range people {
		receipts[i] = Receipt{Person: person, State: cursors[i].state(pos)}
	}
	return receipts, nil
}

// movesPerEntry bounds the entries of topicCursors well below MaxBody.
const movesPerEntry = 500

// flush persists what has moved.
func (b *receiptBook) flush(ctx context.Context) {
	b.mu.Lock()
	work := make(map[lodge.Tenant]cursorTable, len(b.pending))
	for tenant, t := range b.pending {
		work[tenant] = t.clone()
	}
	b.mu.Unlock()
	for tenant, t := range work {
		if err := b.persist(ctx, tenant, t); err != nil {
			b.log.WarnContext(ctx, "messages: receipts are not persisted; trying again", "tenant", tenant, "error", err)
			continue
		}
		b.settle(tenant, t)
	}
}

// persist appends the cursors of t that are further than the stored ones.
func (b *receiptBook) persist(ctx context.Context, tenant lodge.Tenant, t cursorTable) error {
	p, err := b.table(tenant)
	if err != nil {
		return err
	}
	var moves []cursorMove
	err = p.View(ctx, func(stored *cursorTable) {
		for topic, people := range t {
			for person, c := range people {
				if old := (*stored)[topic][person]; old.merge(c) != old {
					moves = append(moves, newMove(topic, person, c))
				}
			}
		}
	})
	if err != nil || len(moves) == 0 {
		return err
	}
	var msgs []Message
	for len(moves) > 0 {
		n := min(len(moves), movesPerEntry)
		body, err := json.Marshal(cursorEntry{Moves: moves[:n]})
		if err != nil {
			return err
		}
		msgs = append(msgs, Message{ID: b.node + rand.Text(), Body: body})
		moves = moves[n:]
	}
	return p.Append(ctx, msgs...)
}

// settle forgets what was persisted, unless it has moved on since.
func (b *receiptBook) settle(tenant lodge.Tenant, done cursorTable) {
	b.mu.Lock()
	defer b.mu.Unlock()
	pending := b.pending[tenant]
	for topic, people := range done {
		for person, c := range people {
			if pending[topic][person] == c {
				delete(pending[topic], person)
			}
		}
		if len(pending[topic]) == 0 {
			delete(pending, topic)
		}
	}
	if len(pending) == 0 {
		delete(b.pending, tenant)
	}
}

func (b *receiptBook) close() {
	b.mu.Lock()
	tables, feeds := b.tables, b.feeds
	b.tables, b.feeds, b.closed = nil, nil, true
	b.mu.Unlock()
	for _, p := range tables {
		p.Close()
	}
	for _, f := range feeds {
		f.unsubscribe()
		f.tail.Release()
	}
}

// flushLimit is how long the last flush may take.
const flushLimit = 5 * time.Second

// runReceipts persists cursors and reports moved receipts to senders, each at
// its own pace and only when something moved.
func (h *Hub) runReceipts(ctx context.Context) {
	b := h.receipts
	defer b.close()
	var flush, report, again <-chan time.Time
	hear := func() {
		moved, err := b.hear(ctx)
		if err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "messages: receipts of other nodes cannot be read; trying again", "error", err)
			again = time.After(h.opts.RetryEvery)
		}
		if moved && report == nil {
			report = time.After(h.opts.ReceiptEvery)
		}
	}
	for {
		select {
		case <-b.news:
			hear()
		case <-again:
			again = nil
			hear()
		case <-b.wake:
			if flush == nil {
				flush = time.After(h.opts.FlushEvery)
			}
			if report == nil {
				report = time.After(h.opts.ReceiptEvery)
			}
		case <-flush:
			flush = nil
			b.flush(ctx)
			if b.owes() {
				flush = time.After(h.opts.FlushEvery)
			}
		case <-report:
			report = nil
			h.reportReceipts(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
			defer cancel()
			b.flush(last)
			return
		}
	}
}

func (b *receiptBook) owes() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending) > 0
}
