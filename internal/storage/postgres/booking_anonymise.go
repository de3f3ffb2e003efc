package postgres

import "github.com/lodge-gateway/lodge"

func (b bookingTx) Anonymise(t lodge.Tenant, person lodge.PersonID) (int, error) {
	if _, err := b.exec(`DELETE FROM booking_folds WHERE tenant = $1 AND booking IN (
		SELECT id FROM bookings WHERE tenant = $1 AND owner = $2 UNION SELECT id FROM bookings WHERE tenant = $1 AND made_for = $2)`, t, person); err != nil {
		return 0, bookingErr("anonymise", err)
	}
	if _, err := b.exec(`DELETE FROM booking_waits WHERE tenant = $1 AND person = $2`, t, person); err != nil {
		return 0, bookingErr("anonymise", err)
	}
	if _, err := b.exec(`DELETE FROM booking_partners WHERE tenant = $1 AND person = $2`, t, person); err != nil {
		return 0, bookingErr("anonymise", err)
	}
	if _, err := b.exec(`UPDATE booking_shares SET holder = '' WHERE tenant = $1 AND holder = $2`, t, person); err != nil {
		return 0, bookingErr("anonymise", err)
	}
	n, err := b.exec(`UPDATE bookings SET owner_name = '', surname = '', sealed = NULL, sealed_key = '', version = version + 1
		WHERE tenant = $1 AND id IN (SELECT id FROM bookings WHERE tenant = $1 AND owner = $2 UNION SELECT id FROM bookings WHERE tenant = $1 AND made_for = $2)`, t, person)
	return int(n), bookingErr("anonymise", err)
}
