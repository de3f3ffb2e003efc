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

func (h *Hub) reportTopic(ctx context.Context, key topicKey) error {
	page, err := h.topics.ReadBack(ctx, key.tenant, key.topic, Pos{}, reportDepth)
	if err != nil {
		return err
	}
	cursors, err := h.receipts.people(ctx, key.tenant, key.topic)
	if err != nil {
		return err
	}
	people, merged, err := h.asPersons(ctx, key.tenant, cursors)
	if err != nil {
		return err
	}
	b := h.receipts
	b.mu.Lock()
	before := b.reported[key]
	b.mu.Unlock()
	now := make(map[string]receiptData)
	for _, item := range page.Items {
		e, err := ParseEvent(item.Body)
		if item.Gap || err != nil || e.Sender == "" || len(h.audience(key.tenant, personalTopic(e.Sender))) == 0 {
			continue
		}
		data := receiptData{Message: e.ID, Topic: key.topic, Position: item.Pos.String()}
		for person, all := range people {
			if person == merged.Of(e.Sender) {
				continue
			}
			if slices.ContainsFunc(all, func(c receiptCursor) bool { return covers(c.Delivered, item.Pos) }) {
				data.Delivered++
			}
			if slices.ContainsFunc(all, func(c receiptCursor) bool { return covers(c.Read, item.Pos) }) {
				data.Read++
			}
		}
		now[e.ID] = data
		if before[e.ID] == data || (data.Delivered == 0 && before[e.ID].Message == "") {
			continue
		}
		report, err := NewEvent(TypeReceipt, e.ID, h.clock.Now(), data)
		if err != nil {
			return err
		}
		if err := h.Notify(key.tenant, personalTopic(e.Sender), report); err != nil {
			return err
		}
	}
	b.mu.Lock()
	if len(now) > 0 {
		b.reported[key] = now
	} else {
		delete(b.reported, key)
	}
	b.mu.Unlock()
	return nil
}

// asPersons gathers the cursors of those who count as one person.
func (h *Hub) asPersons(ctx context.Context, tenant lodge.Tenant, cursors map[lodge.PersonID]receiptCursor) (map[lodge.PersonID][]receiptCursor, lodge.Merged, error) {
	var merged lodge.Merged
	if h.opts.Merged != nil {
		var err error
		if merged, err = h.opts.Merged(ctx, tenant); err != nil {
			return nil, nil, err
		}
	}
	people := make(map[lodge.PersonID][]receiptCursor, len(cursors))
	for id, c := range cursors {
		people[merged.Of(id)] = append(people[merged.Of(id)], c)
	}
	return people, merged, nil
}

func personalTopic(person lodge.PersonID) string { return "user:" + string(person) }
