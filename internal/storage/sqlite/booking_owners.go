package sqlite

import (
	"database/sql"
	"errors"

	"github.com/lodge-gateway/lodge"
)

func (b bookingTx) Owner(t lodge.Tenant, person lodge.PersonID) (lodge.PersonID, error) {
	owner := person
	err := b.tx.Get(`SELECT owner FROM booking_owners WHERE tenant = ? AND person = ?`, []any{t, person}, &owner)
	if errors.Is(err, sql.ErrNoRows) {
		return person, nil
	}
	return owner, bookingErr("owner", err)
}

func (b bookingTx) SetOwner(t lodge.Tenant, person, owner lodge.PersonID) ([]string, error) {
	var err error
	if person == owner {
		_, err = b.tx.Exec(`DELETE FROM booking_owners WHERE tenant = ? AND person = ?`, t, person)
	} else {
		_, err = b.tx.Exec(`INSERT INTO booking_owners (tenant, person, owner) VALUES (?, ?, ?)
			ON CONFLICT (tenant, person) DO UPDATE SET owner = excluded.owner`, t, person, owner)
	}
	if err != nil {
		return nil, bookingErr("set owner", err)
	}
	var moved []string
	err = b.each(func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		moved = append(moved, id)
		return err
	}, `UPDATE bookings SET owner = ?, version = version + 1 WHERE tenant = ? AND made_for = ? AND owner <> ? RETURNING id`,
		owner, t, person, owner)
	return moved, bookingErr("set owner", err)
}
