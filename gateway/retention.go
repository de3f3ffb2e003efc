package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Retention says how long what the message log holds is kept, by class of topic;
// 0 keeps it.
type Retention struct {
	Notices   time.Duration // from when they were sent
	Classroom time.Duration // from when a survey, register or hand-in was closed
}

// retention discards what is older than it is to be kept, tenant by tenant. Every
// node does; what one has done the next finds done.
type retention struct{ *Gateway }

// Run looks at once, and then as often as the configuration says, until ctx ends.
func (n retention) Run(ctx context.Context) error {
	tick := time.NewTicker(n.cfg.RetainEvery)
	defer tick.Stop()
	for {
		for _, tenant := range n.tenants() {
			if err := n.Retain(ctx, tenant); err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "old messages could not all be discarded; trying again", "tenant", tenant, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tenants are those that this installation serves.
func (g *Gateway) tenants() []lodge.Tenant {
	all := slices.Sorted(maps.Values(g.cfg.Hosts))
	return slices.Compact(all)
}

// Retain discards what a tenant's message log need not hold any more: events that
// are too old, surveys, registers and hand-ins that were closed too long ago, and of every
// projection the entries that its snapshot stands for. One topic that fails does
// not keep it from the others.
func (g *Gateway) Retain(ctx context.Context, tenant lodge.Tenant) error {
	now := g.clock.Now()
	topics, err := g.topics.Directory(ctx, tenant)
	if err != nil {
		return err
	}
	var errs []error
	for _, topic := range topics {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if topic.Class != messaging.ClassNotices {
			errs = append(errs, g.topics.Compact(ctx, tenant, topic.Name))
			continue
		}
		if keep := g.cfg.Retention.Notices; keep > 0 {
			_, err := g.topics.Discard(ctx, tenant, topic.Name, now.Add(-keep))
			errs = append(errs, err)
		}
	}
	if keep := g.cfg.Retention.Classroom; keep > 0 {
		_, err := g.surveys.Retain(ctx, tenant, now.Add(-keep))
		_, err2 := g.register.Retain(ctx, tenant, now.Add(-keep))
		_, err3 := g.handins.Retain(ctx, tenant, now.Add(-keep))
		errs = append(errs, err, err2, err3)
	}
	return errors.Join(append(errs, g.presence.log(tenant).Compact(ctx))...)
}
