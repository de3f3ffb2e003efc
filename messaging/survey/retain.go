package survey

import (
	"context"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Retain drops surveys that were closed before a time, or opened before it and
// never closed, with all answers, and returns how many. What it leaves of the list
// is stored without the entries it came from. Any number of nodes may do so at
// once, and again after one that failed half way.
func (d *Desk) Retain(ctx context.Context, tenant lodge.Tenant, before time.Time) (int, error) {
	var old []string
	ballots := map[string]bool{}
	book := d.index(tenant)
	err := book.View(ctx, func(x *index) {
		for id, s := range x.Surveys {
			last := s.ClosedAt
			if s.open() {
				last = s.OpenedAt
			}
			if last.Before(before) {
				old = append(old, id)
				ballots[id] = s.Mode == Unlinkable
			}
		}
	})
	if err != nil {
		return 0, err
	}
	for i, id := range old {
		// It is on the list until nothing of it is left.
		for _, topic := range []string{boxName(id), topicOf(id)} {
			if err := d.topics.Drop(ctx, tenant, topic); err != nil {
				return i, err
			}
		}
		if ballots[id] { // if it was never closed, its signing key is there still
			if err := d.destroyKey(ctx, tenant, id); err != nil {
				return i, err
			}
		}
		err := book.Decide(ctx, func(x *index) ([]messaging.Message, error) {
			if x.Surveys[id] == nil {
				return nil, nil
			}
			return entry{Kind: kindDropped, Survey: id}.messages()
		})
		if err != nil {
			return i, err
		}
	}
	return len(old), book.Compact(ctx)
}
