package booking

import (
	"context"
	"time"
)

// What a Store can do besides, to which a booking makes fewer trips then. Nothing
// depends on it but speed.

// An Aheader is a Tx each of whose reads is a trip to a server.
type Aheader interface {
	// Ahead makes the reads that fn makes in one trip, so that the same reads cost
	// none until something is written. fn reads only; what its reads return means
	// nothing.
	Ahead(fn func(tx Tx)) error
}

// ahead has a transaction read ahead, if it can.
func ahead(tx Tx, fn func(tx Tx)) error {
	if a, ok := tx.(Aheader); ok {
		return a.Ahead(fn)
	}
	return nil
}

// A Sooner is a Store that answers sooner when it need not wait for the disk.
type Sooner interface {
	// UpdateSoon is Update for what may be forgotten when the machine fails, as if
	// it had never happened, with everything of that kind that came after it. It is
	// never forgotten when something that came after it was durable.
	UpdateSoon(ctx context.Context, fn func(tx Tx) error) error
}

// updateSoon makes a change that would be made again after a failure.
func (d *Desk) updateSoon(ctx context.Context, fn func(tx Tx) error) error {
	if s, ok := d.store.(Sooner); ok {
		return s.UpdateSoon(ctx, fn)
	}
	return d.store.Update(ctx, fn)
}

// A TxClaimer is a Tx of a Claimer that claims in the same step as it changes.
type TxClaimer interface {
	// Hold is Claim for a subject that nobody else knows of yet.
	Hold(s Subject, node string, life time.Duration) error
	// LetGo is Release unless effects of the subject are left.
	LetGo(s Subject, node string) error
}
