package booking

import (
	"context"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Tried limits how often something that must not be guessed is tried, beside a
// reference: by whom it is tried, from which address and overall, as LookupLimits
// has it for a surname, an address and a tenant. what names it. try reports whether
// it hit; only misses count. A try over a limit is CodeTooMany with RetryAfter, and
// is not made; the limits are kept in the store.
func (d *Desk) Tried(ctx context.Context, t lodge.Tenant, what, who, address string, try func() (hit bool, err error)) error {
	limits := []struct {
		key  []byte
		rate Rate
	}{
		{d.vault.mac("try-"+what+"-who", string(t), who), d.opts.Lookup.Surname},
		{d.vault.mac("try-"+what+"-address", string(t), network(address)), d.opts.Lookup.Address},
		{d.vault.mac("try-"+what+"-overall", string(t)), d.opts.Lookup.Overall},
	}
	now := d.now()
	next := make([]time.Time, len(limits))
	spend := func(tx Tx) (wait time.Duration, err error) {
		for i, l := range limits {
			at, err := tx.Rate(t, l.key)
			if err != nil {
				return 0, err
			}
			var w time.Duration
			next[i], w = l.rate.spend(at, now)
			wait = max(wait, w)
		}
		return wait, nil
	}
	var wait time.Duration
	err := d.store.View(ctx, func(tx Tx) (err error) {
		wait, err = spend(tx)
		return err
	})
	if err != nil {
		return outward(err)
	}
	if wait > 0 {
		e := lodge.E(lodge.CodeTooMany, "There were too many tries; wait a while.")
		e.RetryAfter = wait
		return e
	}
	hit, tryErr := try()
	if hit {
		return tryErr
	}
	err = d.store.Update(ctx, func(tx Tx) error {
		if _, err := spend(tx); err != nil {
			return err
		}
		for i, l := range limits {
			if err := tx.SetRate(t, l.key, next[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return outward(err)
	}
	return tryErr
}
