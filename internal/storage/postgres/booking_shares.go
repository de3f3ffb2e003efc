package postgres

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) Share(t lodge.Tenant, id string) (booking.Share, error) {
	var s booking.Share
	err := b.get(`SELECT code, holder, since FROM booking_shares WHERE tenant = $1 AND booking = $2`, []any{t, id},
		&s.Code, &s.Holder, (*moment)(&s.Since))
	if errors.Is(err, pgx.ErrNoRows) {
		return booking.Share{}, nil
	}
	if err != nil {
		return booking.Share{}, bookingErr("share", err)
	}
	err = b.each(func(scan scanner) error {
		var p booking.Partner
		err := scan(&p.Person, &p.Name, (*moment)(&p.Since), (*moment)(&p.Asked))
		s.Partners = append(s.Partners, p)
		return err
	}, `SELECT person, name, since, asked FROM booking_partners WHERE tenant = $1 AND booking = $2 ORDER BY place`, t, id)
	return s, bookingErr("share", err)
}

func (b bookingTx) PutShare(t lodge.Tenant, id string, s booking.Share) error {
	_, err := b.later(1, `INSERT INTO booking_shares (tenant, booking, code, holder, since) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant, booking) DO UPDATE SET code = excluded.code, holder = excluded.holder, since = excluded.since`,
		t, id, s.Code, s.Holder, moment(s.Since))
	if err == nil {
		_, err = b.later(anyRows, `DELETE FROM booking_partners WHERE tenant = $1 AND booking = $2`, t, id)
	}
	for place, p := range s.Partners {
		if err == nil {
			_, err = b.later(1, `INSERT INTO booking_partners (tenant, booking, person, name, place, since, asked) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				t, id, p.Person, cleaned(p.Name), place, moment(p.Since), moment(p.Asked))
		}
	}
	return bookingErr("put share", err)
}

func (b bookingTx) ShareOf(t lodge.Tenant, code []byte) (string, error) {
	var id string
	err := b.get(`SELECT booking FROM booking_shares WHERE tenant = $1 AND code = $2`, []any{t, code}, &id)
	return id, bookingErr("share of", err)
}

func (b bookingTx) SharedWith(t lodge.Tenant, person lodge.PersonID, after time.Time) ([]string, error) {
	var list []string
	err := b.each(func(scan scanner) error {
		var id string
		err := scan(&id)
		list = append(list, id)
		return err
	}, `SELECT b.id FROM booking_partners p JOIN bookings b ON b.tenant = p.tenant AND b.id = p.booking
		WHERE p.tenant = $1 AND p.person = $2 AND b.end_at > $3 ORDER BY b.start_at, b.id`, t, person, moment(after))
	return list, bookingErr("shared with", err)
}
