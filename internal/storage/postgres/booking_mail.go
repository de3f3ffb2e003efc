package postgres

import (
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) PutMail(m booking.Mail) error {
	_, err := b.later(anyRows, `INSERT INTO booking_mails (tenant, id, kind, booking, person, pool, reason, free_from, free_to, until, at, tries, node, next_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, '', $11) ON CONFLICT DO NOTHING`,
		m.Tenant, m.ID, m.Kind, m.Booking, m.Person, m.Pool, cleaned(m.Reason), moment(m.Free.Start), moment(m.Free.End), moment(m.Until), moment(m.At))
	return bookingErr("put mail", err)
}

func (b bookingTx) DueMails(now time.Time, limit int) ([]booking.Mail, error) {
	var list []booking.Mail
	err := b.each(func(scan scanner) error {
		var m booking.Mail
		err := scan(&m.Tenant, &m.ID, &m.Kind, &m.Booking, &m.Person, &m.Pool, &m.Reason,
			(*moment)(&m.Free.Start), (*moment)(&m.Free.End), (*moment)(&m.Until), (*moment)(&m.At), &m.Tries)
		list = append(list, m)
		return err
	}, `SELECT tenant, id, kind, booking, person, pool, reason, free_from, free_to, until, at, tries FROM booking_mails
		WHERE next_at <= $1 ORDER BY next_at, at, id LIMIT $2`, moment(now), limit)
	return list, bookingErr("due mails", err)
}

func (b bookingTx) TakeMail(t lodge.Tenant, id, node string, now, until time.Time) (bool, error) {
	n, err := b.exec(`UPDATE booking_mails SET node = $1, tries = tries + 1, next_at = $2 WHERE tenant = $3 AND id = $4 AND next_at <= $5`,
		node, moment(until), t, id, moment(now))
	return n > 0, bookingErr("take mail", err)
}

func (b bookingTx) PostponeMail(t lodge.Tenant, id, node string, then time.Time) error {
	_, err := b.later(anyRows, `UPDATE booking_mails SET node = '', next_at = $1 WHERE tenant = $2 AND id = $3 AND node = $4`, moment(then), t, id, node)
	return bookingErr("postpone mail", err)
}

func (b bookingTx) DropMail(t lodge.Tenant, id, node string) error {
	_, err := b.later(anyRows, `DELETE FROM booking_mails WHERE tenant = $1 AND id = $2 AND node = $3`, t, id, node)
	return bookingErr("drop mail", err)
}

func (b bookingTx) SetReminders(t lodge.Tenant, id string, at []time.Time) error {
	_, err := b.later(anyRows, `DELETE FROM booking_reminders WHERE tenant = $1 AND booking = $2`, t, id)
	for _, one := range at {
		if err == nil {
			_, err = b.later(anyRows, `INSERT INTO booking_reminders (tenant, booking, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, t, id, moment(one))
		}
	}
	return bookingErr("set reminders", err)
}

func (b bookingTx) DueReminders(now time.Time, limit int) ([]booking.DueReminder, error) {
	var list []booking.DueReminder
	err := b.each(func(scan scanner) error {
		var r booking.DueReminder
		err := scan(&r.Tenant, &r.Booking)
		list = append(list, r)
		return err
	}, `SELECT tenant, booking FROM booking_reminders WHERE at <= $1 GROUP BY tenant, booking ORDER BY min(at), tenant, booking LIMIT $2`, moment(now), limit)
	return list, bookingErr("due reminders", err)
}

func (b bookingTx) TakeReminders(t lodge.Tenant, id string, now time.Time) (bool, error) {
	n, err := b.exec(`DELETE FROM booking_reminders WHERE tenant = $1 AND booking = $2 AND at <= $3`, t, id, moment(now))
	return n > 0, bookingErr("take reminders", err)
}

func (b bookingTx) AddLink(t lodge.Tenant, hash []byte, id string, until time.Time) error {
	_, err := b.later(1, `INSERT INTO booking_links (tenant, hash, booking, until) VALUES ($1, $2, $3, $4)`, t, hash, id, moment(until))
	return bookingErr("add link", err)
}

func (b bookingTx) TakeLink(t lodge.Tenant, hash []byte, now time.Time) (string, error) {
	var id string
	err := b.get(`DELETE FROM booking_links WHERE tenant = $1 AND hash = $2 AND until > $3 RETURNING booking`, []any{t, hash, moment(now)}, &id)
	return id, bookingErr("take link", err)
}

func (b bookingTx) ForgetLinks(now time.Time) error {
	_, err := b.later(anyRows, `DELETE FROM booking_links WHERE until <= $1`, moment(now))
	return bookingErr("forget links", err)
}
