package postgres

import (
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) Came(t lodge.Tenant, id string, at time.Time) error {
	n, err := b.exec(`UPDATE bookings SET came_at = coalesce(came_at, $1), come_by = NULL WHERE tenant = $2 AND id = $3`, moment(at), t, id)
	if err == nil && n == 0 {
		return booking.ErrUnknown
	}
	return bookingErr("came", err)
}

func (b bookingTx) Awaited(now time.Time, limit int) ([]booking.Awaited, error) {
	var list []booking.Awaited
	err := b.each(func(scan scanner) error {
		var a booking.Awaited
		err := scan(&a.Tenant, &a.Booking)
		list = append(list, a)
		return err
	}, `SELECT tenant, id FROM bookings WHERE come_by <= $1 ORDER BY come_by LIMIT $2`, moment(now), limit)
	return list, bookingErr("awaited", err)
}

func (b bookingTx) HasReference(t lodge.Tenant, reference []byte) (bool, error) {
	var taken bool
	err := b.get(`SELECT EXISTS (SELECT 1 FROM booking_references WHERE tenant = $1 AND mac = $2)`, []any{t, reference}, &taken)
	return taken, bookingErr("find reference", err)
}

func (b bookingTx) DropReference(t lodge.Tenant, id string) error {
	if _, err := b.later(anyRows, `DELETE FROM booking_folds WHERE tenant = $1 AND booking = $2`, t, id); err != nil {
		return bookingErr("drop reference", err)
	}
	_, err := b.later(anyRows, `DELETE FROM booking_references WHERE tenant = $1 AND booking = $2`, t, id)
	return bookingErr("drop reference", err)
}

func (b bookingTx) Reseal(t lodge.Tenant, id string, sealed []byte, key string) error {
	_, err := b.later(anyRows, `UPDATE bookings SET sealed = $1, sealed_key = $2, version = version + 1 WHERE tenant = $3 AND id = $4`, sealed, key, t, id)
	return bookingErr("reseal", err)
}
