package sqlite

import (
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) Came(t lodge.Tenant, id string, at time.Time) error {
	if _, err := b.Booking(t, id); err != nil {
		return err
	}
	_, err := b.tx.Exec(`UPDATE bookings SET came_at = ?, come_by = 0 WHERE tenant = ? AND id = ? AND came_at = 0`, Micros(at), t, id)
	return bookingErr("came", err)
}

func (b bookingTx) Awaited(now time.Time, limit int) ([]booking.Awaited, error) {
	var list []booking.Awaited
	err := b.each(func(scan func(...any) error) error {
		var a booking.Awaited
		err := scan(&a.Tenant, &a.Booking)
		list = append(list, a)
		return err
	}, `SELECT tenant, id FROM bookings WHERE come_by > 0 AND come_by <= ? ORDER BY come_by LIMIT ?+0`, Micros(now), limit)
	return list, bookingErr("awaited", err)
}

func (b bookingTx) HasReference(t lodge.Tenant, reference []byte) (bool, error) {
	var taken bool
	err := b.tx.Get(`SELECT EXISTS (SELECT 1 FROM booking_references WHERE tenant = ? AND mac = ?)`, []any{t, reference}, &taken)
	return taken, bookingErr("find reference", err)
}

func (b bookingTx) DropReference(t lodge.Tenant, id string) error {
	for _, query := range []string{
		`DELETE FROM booking_folds WHERE tenant = ? AND booking = ?`,
		`DELETE FROM booking_references WHERE tenant = ? AND booking = ?`,
	} {
		if _, err := b.tx.Exec(query, t, id); err != nil {
			return bookingErr("drop reference", err)
		}
	}
	return nil
}

func (b bookingTx) Reseal(t lodge.Tenant, id string, sealed []byte, key string) error {
	_, err := b.tx.Exec(`UPDATE bookings SET sealed = ?, sealed_key = ?, version = version + 1 WHERE tenant = ? AND id = ?`, sealed, key, t, id)
	return bookingErr("reseal", err)
}
