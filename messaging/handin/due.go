package handin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// A Due is what is to be done with a tenant's hand-ins at a moment. Each of it can be
// done by any number of nodes: telling may be repeated under one message id.
type Due struct {
	Tell  []HandIn  // whose opening has come, and whose audience was not told of it
	After []HandIn  // taking work, and put to people as their experiments end
	Next  time.Time // when something else is due; zero: not before the list changes
}

// Due returns what is to be done now.
func (d *Desk) Due(ctx context.Context, tenant lodge.Tenant) (Due, error) {
	now := d.clock.Now()
	var due Due
	later := func(at time.Time) {
		if due.Next.IsZero() || at.Before(due.Next) {
			due.Next = at
		}
	}
	err := d.index(tenant).View(ctx, func(x *index) {
		for id, one := range x.HandIns {
			h := one.view(id)
			standing := h.At(now)
			switch {
			case standing == Coming:
				later(h.Opens)
			case !one.Announced:
				due.Tell = append(due.Tell, h)
			}
			if h.After && (standing == Open || standing == Later) {
				due.After = append(due.After, h)
				if h.Late == Refuse && !h.Deadline.IsZero() {
					later(h.Deadline.Add(time.Nanosecond)) // it takes work until then
				}
			}
		}
	})
	byID := func(a, b HandIn) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(due.Tell, byID)
	slices.SortFunc(due.After, byID)
	return due, err
}

// Changed is sent to when there may be something else to do, as
// messaging.Projection's.
func (d *Desk) Changed(tenant lodge.Tenant) <-chan struct{} { return d.index(tenant).Changed() }

// Told notes that a hand-in's audience was told that it is open.
func (d *Desk) Told(ctx context.Context, tenant lodge.Tenant, id string) error {
	e := entry{Kind: kindAnnounced, HandIn: id, At: d.clock.Now().UTC()}
	return d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		if one := x.HandIns[id]; one == nil || one.Announced {
			return nil, nil
		}
		return e.messages()
	})
}
