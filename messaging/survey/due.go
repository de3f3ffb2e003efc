package survey

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// What an audience is told of.
const (
	Opened = "opened"
	Closed = "closed"
)

// A Due is what is to be done with a tenant's surveys at a moment. Each of it can
// be done by any number of nodes: opening and closing may be repeated, and telling
// under one message id.
type Due struct {
	Open  []Saved   // whose time has come
	Close []string  // likewise, or whose closing was cut off half way
	Tell  []Survey  // whose audience is to be told that they opened, or closed
	After []Survey  // open, and put to people as their experiments end
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
		for _, one := range x.Drafts {
			switch {
			case one.Opens.IsZero():
			case one.Opens.After(now):
				later(one.Opens)
			default:
				due.Open = append(due.Open, *one)
			}
		}
		for id, s := range x.Surveys {
			if s.Tells && s.Told != s.change() {
				due.Tell = append(due.Tell, s.survey())
			}
			if !s.open() {
				continue
			}
			if s.Ending {
				due.Close = append(due.Close, id)
				continue
			}
			if s.After {
				due.After = append(due.After, s.survey())
			}
			switch {
			case s.Closes.IsZero():
			case s.Closes.After(now):
				later(s.Closes)
			default:
				due.Close = append(due.Close, id)
			}
		}
	})
	slices.SortFunc(due.Open, func(a, b Saved) int { return a.Opens.Compare(b.Opens) })
	slices.Sort(due.Close)
	slices.SortFunc(due.Tell, func(a, b Survey) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(due.After, func(a, b Survey) int { return strings.Compare(a.ID, b.ID) })
	return due, err
}

// Changed is sent to when there may be something else to do, as
// messaging.Projection's.
func (d *Desk) Changed(tenant lodge.Tenant) <-chan struct{} { return d.index(tenant).Changed() }

// Told notes that a survey's audience was told of a change.
func (d *Desk) Told(ctx context.Context, tenant lodge.Tenant, id, change string) error {
	return d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		s := x.Surveys[id]
		if s == nil || s.Told == change || s.Told == Closed {
			return nil, nil
		}
		return entry{Kind: kindTold, Survey: id, Told: change}.messages()
	})
}
