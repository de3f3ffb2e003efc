package messaging

import (
	"context"
	"slices"

	"github.com/lodge-gateway/lodge"
)

// reportDepth is how many of a topic's newest messages have their receipts
// reported live; those of older ones are there for the asking.
const reportDepth = 64

// receiptData is the data of a lodge.receipt event: how many people other than
// the sender have received, and how many of them have read, one message.
type receiptData struct {
	Message   string `json:"message"` // the event's id
	Topic     string `json:"topic"`
	Position  string `json:"position"`
	Delivered int    `json:"delivered"`
	Read      int    `json:"read"`
}

// reportReceipts tells connected senders how far their newest messages have
// come, in each topic whose cursors moved, if that changed.
func (h *Hub) reportReceipts(ctx context.Context) {
	b := h.receipts
	b.mu.Lock()
	moved := b.moved
	b.moved = make(map[topicKey]struct{})
	b.mu.Unlock()
	for key := range moved {
		if err := h.reportTopic(ctx, key); err != nil && ctx.Err() == nil {
			// A report is a convenience; the next one has all that this one had.
			b.log.WarnContext(ctx, "messages: receipts are not reported", "topic", key.topic, "error", err)
		}
	}
}

// A reported is a message whose sender is here, and how far it has come.
type reported struct {
	event  Event
	sender lodge.PersonID // whom it counts as
	pos    Pos
	data   receiptData
}

func (h *Hub) reportTopic(ctx context.Context, key topicKey) error {
	now, err := h.reportable(ctx, key)
	if err != nil {
		return err
	}
	if len(now) > 0 {
		if err := h.countReceipts(ctx, key, now); err != nil {
			return err
		}
	}
	b := h.receipts
	b.mu.Lock()
	before := b.reported[key]
	delete(b.reported, key)
	if len(now) > 0 {
		b.reported[key] = make(map[string]receiptData, len(now))
		for _, one := range now {
			b.reported[key][one.event.ID] = one.data
		}
	}
	b.mu.Unlock()
	for _, one := range now {
		if before[one.event.ID] == one.data || (one.data.Delivered == 0 && before[one.event.ID].Message == "") {
			continue
		}
		report, err := NewEvent(TypeReceipt, one.event.ID, h.clock.Now(), one.data)
		if err == nil {
			err = h.Notify(key.tenant, personalTopic(one.event.Sender), report)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reportable returns a topic's newest messages whose senders are connected here.
func (h *Hub) reportable(ctx context.Context, key topicKey) ([]*reported, error) {
	page, err := h.topics.ReadBack(ctx, key.tenant, key.topic, Pos{}, reportDepth)
	if err != nil {
		return nil, err
	}
	var all []*reported
	for _, item := range page.Items {
		e, err := ParseEvent(item.Body)
		if item.Gap || err != nil || e.Sender == "" || !h.Delivers(key.tenant, personalTopic(e.Sender)) {
			continue
		}
		all = append(all, &reported{event: e, pos: item.Pos, data: receiptData{Message: e.ID, Topic: key.topic, Position: item.Pos.String()}})
	}
	return all, nil
}

// countReceipts counts the people, other than its sender, that each message has
// come to. Who goes by several ids counts once, by whichever is furthest.
func (h *Hub) countReceipts(ctx context.Context, key topicKey, messages []*reported) error {
	var merged lodge.Merged
	if h.opts.Merged != nil {
		var err error
		if merged, err = h.opts.Merged(ctx, key.tenant); err != nil {
			return err
		}
	}
	several := make(map[lodge.PersonID]bool, len(merged))
	for from, into := range merged {
		several[from], several[into] = true, true
	}
	for _, m := range messages {
		m.sender = merged.Of(m.event.Sender)
	}
	count := func(person lodge.PersonID, cursors ...receiptCursor) {
		for _, m := range messages {
			if person == m.sender {
				continue
			}
			if slices.ContainsFunc(cursors, func(c receiptCursor) bool { return covers(c.Delivered, m.pos) }) {
				m.data.Delivered++
			}
			if slices.ContainsFunc(cursors, func(c receiptCursor) bool { return covers(c.Read, m.pos) }) {
				m.data.Read++
			}
		}
	}
	people := make(map[lodge.PersonID][]receiptCursor)
	err := h.receipts.each(ctx, key.tenant, key.topic, func(id lodge.PersonID, c receiptCursor) {
		if several[id] {
			people[merged.Of(id)] = append(people[merged.Of(id)], c)
			return
		}
		count(id, c)
	})
	for person, cursors := range people {
		count(person, cursors...)
	}
	return err
}

func personalTopic(person lodge.PersonID) string { return "user:" + string(person) }
