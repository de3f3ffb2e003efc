package postgres

import "context"

// OutboxDepth returns how many effects of bookings wait to be carried out, in all
// tenants.
func (db *DB) OutboxDepth(ctx context.Context) (n int, err error) {
	err = db.each(ctx, func() {}, func(scan scanner) error { return scan(&n) }, `SELECT count(*) FROM booking_outbox`)
	return n, err
}
