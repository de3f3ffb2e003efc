package booking

import (
	"context"
	"fmt"
	"time"
)

// A Claimer is a Store that several nodes share. Only the node that has claimed a
// subject carries out its effects: two would do so out of order, and each twice.
type Claimer interface {
	// Claim gives a subject to a node for so long, or until Release, and reports
	// whether it is the node's now: not while another node has it.
	Claim(ctx context.Context, s Subject, node string, life time.Duration) (bool, error)
	// Release gives it back. It may be another node's by then, which keeps it.
	Release(ctx context.Context, s Subject, node string) error
}

// claimPause is how soon a node asks again for what another has.
const claimPause = 50 * time.Millisecond

// claim waits until a subject is this node's, which a store that is this node's
// alone need not be asked for. A node that dies is waited for: twice as long as
// effects may take.
func (d *Desk) claim(ctx context.Context, s Subject) (release func(), err error) {
	store, shared := d.store.(Claimer)
	if !shared {
		return func() {}, nil
	}
	pause := time.NewTicker(claimPause)
	defer pause.Stop()
	for {
		ours, err := store.Claim(ctx, s, d.node, 2*d.opts.EffectWait)
		if err != nil {
			return nil, fmt.Errorf("booking: claim a subject's effects: %w", err)
		}
		if ours {
			break
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("booking: another node carries out an earlier effect: %w", ctx.Err())
		}
	}
	return d.giveBack(ctx, s), nil
}

// giveBack returns a function that gives back what this node has claimed.
func (d *Desk) giveBack(ctx context.Context, s Subject) func() {
	return func() {
		store, shared := d.store.(Claimer)
		if !shared {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.opts.EffectWait)
		defer cancel()
		if err := store.Release(ctx, s, d.node); err != nil {
			d.log.Warn("booking: a claim runs out by itself", "tenant", s.Tenant, "subject", s.Name, "err", err)
		}
	}
}
