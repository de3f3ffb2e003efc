package sqlite

import (
	"database/sql"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) Share(t lodge.Tenant, id string) (booking.Share, error) {
	var s booking.Share
	var since int64
	err := b.tx.Get(`SELECT code, holder, since FROM booking_shares WHERE tenant = ? AND booking = ?`, []any{t, id}, &s.Code, &s.Holder, &since)
	if errors.Is(err, sql.ErrNoRows) {
		return booking.Share{}, nil
	}
	if err != nil {
		return booking.Share{}, bookingErr("share", err)
	}
	s.Since = Time(since)
	err = b.each(func(scan func(...any) error) error {
		var p booking.Partner
		var since, asked int64
		err := scan(&p.Person, &p.Name, &since, &asked)
		p.Since, p.Asked = Time(since), Time(asked)
		s.Partners = append(s.Partners, p)
		return err
	}, `SELECT person, name, since, asked FROM booking_partners WHERE tenant = ? AND booking = ? ORDER BY place`, t, id)
	return s, bookingErr("share", err)
}

func (b bookingTx) PutShare(t lodge.Tenant, id string, s booking.Share) error {
	_, err := b.tx.Exec(`INSERT INTO booking_shares (tenant, booking, code, holder, since) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant, booking) DO UPDATE SET code = excluded.code, holder = excluded.holder, since = excluded.since`,
		t, id, s.Code, s.Holder, Micros(s.Since))
	if err != nil {
		return bookingErr("put share", err)
	}
	if _, err := b.tx.Exec(`DELETE FROM booking_partners WHERE tenant = ? AND booking = ?`, t, id); err != nil {
		return bookingErr("put share", err)
	}
	for place, p := range s.Partners {
		_, err := b.tx.Exec(`INSERT INTO booking_partners (tenant, booking, person, name, place, since, asked) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			t, id, p.Person, p.Name, place, Micros(p.Since), Micros(p.Asked))
		if err != nil {
			return bookingErr("put share", err)
		}
	}
	return nil
}

func (b bookingTx) ShareOf(t lodge.Tenant, code []byte) (string, error) {
	var id string
	err := b.tx.Get(`SELECT booking FROM booking_shares WHERE tenant = ? AND code = ?`, []any{t, code}, &id)
	return id, bookingErr("share of", err)
}

func (b bookingTx) SharedWith(t lodge.Tenant, person lodge.PersonID, after time.Time) ([]string, error) {
	var list []string
	err := b.each(func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		list = append(list, id)
		return err
	}, `SELECT b.id FROM booking_partners p JOIN bookings b ON b.tenant = p.tenant AND b.id = p.booking
		WHERE p.tenant = ? AND p.person = ? AND b.end_at > ? ORDER BY b.start_at, b.id`, t, person, Micros(after))
	return list, bookingErr("shared with", err)
}
