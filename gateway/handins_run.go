package gateway

import (
	"context"
	"time"
)

// handIns does what hand-ins need and nobody asks for: it tells audiences of those
// whose opening has come, and removes what cut-off uploads left behind. Every node
// does; what one has done the next finds done.
type handIns struct{ *Gateway }

// Run begins at once, since what was left behind was by a node that died, until ctx
// ends.
func (h handIns) Run(ctx context.Context) error {
	tell := time.NewTicker(h.cfg.RefreshPoll)
	defer tell.Stop()
	sweep := time.NewTicker(leftBehind)
	defer sweep.Stop()
	h.sweep(ctx)
	for {
		for _, tenant := range h.tenants() {
			if err := h.announceHandIns(ctx, tenant); err != nil && ctx.Err() == nil {
				h.log.WarnContext(ctx, "people could not be told that a hand-in opened; trying again", "tenant", tenant, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tell.C:
		case <-sweep.C:
			h.sweep(ctx)
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
