package gateway

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lodge-gateway/lodge"
)

// handIns does what hand-ins need and nobody asks for: it tells audiences of those
// whose opening has come, puts those that go with each person's experiment to
// whoever's has ended, and removes what cut-off uploads left behind. Every node does;
// what one has done the next finds done.
type handIns struct{ *Gateway }

// Run does so until ctx ends.
func (h handIns) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return dues{h.Gateway, "hand-ins", h.handins.Changed, h.round}.Run(ctx) })
	group.Go(func() error {
		h.clear(ctx)
		return nil
	})
	return group.Wait()
}

func (h handIns) round(ctx context.Context, tenant lodge.Tenant) (ahead, error) {
	due, err := h.handins.Due(ctx, tenant)
	if err != nil {
		return ahead{}, err
	}
	for _, one := range due.Tell {
		if err := h.tellHandIn(ctx, tenant, one); err != nil {
			return ahead{}, err
		}
	}
	left := ahead{next: due.Next}
	for _, one := range due.After {
		left.sequels = append(left.sequels, h.handInSequel(tenant, one))
	}
	return left, nil
}

// clear begins at once, since what was left behind was by a node that died.
func (h handIns) clear(ctx context.Context) {
	tick := time.NewTicker(leftBehind)
	defer tick.Stop()
	for {
		h.sweep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h handIns) sweep(ctx context.Context) {
	for _, tenant := range h.tenants() {
		swept, err := h.handins.Sweep(ctx, tenant, h.clock.Now().Add(-leftBehind))
		if err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "what uploads left behind could not all be removed; trying again", "tenant", tenant, "err", err)
		}
		if swept > 0 {
			h.log.InfoContext(ctx, "removed what uploads had left behind", "tenant", tenant, "files", swept)
		}
	}
}
