package sqlite

import "context"

// OutboxDepth returns how many effects of bookings wait to be carried out, in all
// tenants.
func (db *DB) OutboxDepth(ctx context.Context) (n int, err error) {
	err = db.View(ctx, func(tx *Tx) error { return tx.Get(`SELECT count(*) FROM booking_outbox`, nil, &n) })
	return n, err
}
