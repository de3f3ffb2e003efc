package sqlite

import "github.com/lodge-gateway/lodge"

func (b bookingTx) Anonymise(t lodge.Tenant, person lodge.PersonID) (int, error) {
	if _, err := b.tx.Exec(`DELETE FROM booking_folds WHERE tenant = ? AND booking IN (
		SELECT id FROM bookings WHERE tenant = ? AND owner = ? UNION SELECT id FROM bookings WHERE tenant = ? AND made_for = ?)`,
		t, t, person, t, person); err != nil {
		return 0, bookingErr("anonymise", err)
	}
	if _, err := b.tx.Exec(`DELETE FROM booking_waits WHERE tenant = ? AND person = ?`, t, person); err != nil {
		return 0, bookingErr("anonymise", err)
	}
	if _, err := b.tx.Exec(`DELETE FROM booking_partners WHERE tenant = ? AND person = ?`, t, person); err != nil {
		return 0, bookingErr("anonymise", err)
	}
	if _, err := b.tx.Exec(`UPDATE booking_shares SET holder = '' WHERE tenant = ? AND holder = ?`, t, person); err != nil {
		return 0, bookingErr("anonymise", err)
	}
	res, err := b.tx.Exec(`UPDATE bookings SET owner_name = '', surname = '', sealed = NULL, sealed_key = '', version = version + 1
		WHERE tenant = ? AND id IN (SELECT id FROM bookings WHERE tenant = ? AND owner = ? UNION SELECT id FROM bookings WHERE tenant = ? AND made_for = ?)`,
		t, t, person, t, person)
	if err != nil {
		return 0, bookingErr("anonymise", err)
	}
	n, err := res.RowsAffected()
	return int(n), bookingErr("anonymise", err)
}
