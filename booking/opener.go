package booking

import (
	"context"
	"fmt"
)

// An opener is the first effect of a subject that comes to be with it. Whoever makes
// it carries it out without asking whose it is and what it says: nobody else knows
// of the subject before.
type opener struct {
	subject Subject
	effect  Effect // as it was stored
}

// begin takes the turn of a subject that is about to be.
func (d *Desk) begin(ctx context.Context, s Subject) (*opener, func(), error) {
	release, err := d.turns.take(ctx, s)
	return &opener{subject: s}, release, err
}

// hold notes the effect, and claims its subject where a claim is needed.
func (d *Desk) hold(tx Tx, f *opener, e Effect) error {
	if f == nil {
		return nil // it is carried out as any other
	}
	f.effect = e
	if h, ok := tx.(TxClaimer); ok {
		if err := h.Hold(f.subject, d.node, 2*d.opts.EffectWait); err != nil {
			return fmt.Errorf("booking: claim a new subject: %w", err)
		}
	}
	return nil
}

// carryOpener is carry for the first effect of a subject.
func (d *Desk) carryOpener(ctx context.Context, f *opener) error {
	return d.await(ctx, f.subject, func(ctx context.Context) error {
		e := f.effect
		e.Booking = d.seen(e.Booking)
		return d.work(ctx, f.subject, e, 0, nil, d.giveBack(ctx, f.subject))
	})
}
