package idp

import (
	"context"
	"sync"
)

// State is how an issuer is at a moment.
type State struct {
	Issuer
	URL string
	// Err says why its metadata could not be had; nil when it was, or was fresh
	// enough already.
	Err error
}

// States asks every issuer for its metadata, all at once, and returns how they are,
// in the order of the configuration. It takes as long as the slowest, which
// Options.Timeout bounds.
func (rp *RelyingParty) States(ctx context.Context) []State {
	states := make([]State, len(rp.order))
	var asking sync.WaitGroup
	for i, one := range rp.order {
		is, err := rp.issuer(one.ID)
		if err != nil {
			states[i] = State{Issuer: one, Err: err}
			continue
		}
		states[i] = State{Issuer: one, URL: is.cfg.URL}
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, rp.timeout)
			defer cancel()
			_, states[i].Err = is.there(ctx)
		})
	}
	asking.Wait()
	return states
}
