package attendance

import (
	"context"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Retain drops registers that were closed before a time, or ended before it and
// were never closed, and returns how many; with them go plans that came to nothing. What it leaves is stored without the
// entries it came from. Any number of nodes may do so at once.
func (d *Desk) Retain(ctx context.Context, tenant lodge.Tenant, before time.Time) (int, error) {
	dropped := 0
	book := d.book(tenant)
	err := book.Decide(ctx, func(s *state) ([]messaging.Message, error) {
		unplanned, err := s.dropped(before)
		if err != nil {
			return nil, err
		}
		var msgs []messaging.Message
		for id, r := range s.Registers {
			last := r.ClosedAt
			if r.open() {
				last = r.End
			}
			if !last.Before(before) {
				continue
			}
			msg, err := entry{Kind: kindDropped, Register: id}.message()
			if err != nil {
				return nil, err
			}
			msgs = append(msgs, msg)
		}
		dropped = len(msgs)
		return append(msgs, unplanned...), nil
	})
	if err != nil {
		return 0, err
	}
	return dropped, book.Compact(ctx)
}
