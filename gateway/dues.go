package gateway

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge"
)

// duesPoll is how often it is looked whether something became due. That costs a
// comparison; what is to be done is read when the time has come, or it changed.
const duesPoll = 250 * time.Millisecond

// dues does what becomes due of one kind of thing: messages, surveys, registers,
// hand-ins. Every node does; each step of a round may be repeated, and what people are
// told has one message id, so that they hear of it once.
type dues struct {
	*Gateway
	what    string                             // for the log
	changed func(lodge.Tenant) <-chan struct{} // sent to when there may be something else to do
	round   func(context.Context, lodge.Tenant) (ahead, error)
}

// ahead is what a round leaves to be done.
type ahead struct {
	next    time.Time // when something else is due; zero: not before there is a change
	sequels []sequel  // what is put to people as their experiments end
}

// Run does what is due until ctx ends.
func (d dues) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, tenant := range d.tenants() {
		group.Go(func() error {
			d.follow(ctx, tenant)
			return nil
		})
	}
	return group.Wait()
}

func (d dues) follow(ctx context.Context, tenant lodge.Tenant) {
	changed := d.changed(tenant)
	tick := time.NewTicker(duesPoll)
	defer tick.Stop()
	ends := newEndings(d.Gateway, tenant)
	var left ahead
	look := true
	for looked := time.Now(); ; {
		if look || !left.next.IsZero() && !d.clock.Now().Before(left.next) {
			var err error
			left, err = d.round(ctx, tenant)
			look = err != nil
			d.warn(ctx, tenant, err)
			looked = time.Time{}
		}
		if len(left.sequels) > 0 && time.Since(looked) >= endingsPoll {
			d.warn(ctx, tenant, ends.round(ctx, left.sequels))
			looked = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			look = true
		case <-tick.C:
		}
	}
}

func (d dues) warn(ctx context.Context, tenant lodge.Tenant, err error) {
	if err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, d.what+" that are due; trying again", "tenant", tenant, "err", err)
	}
}
