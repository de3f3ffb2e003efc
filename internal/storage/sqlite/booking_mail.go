package sqlite

import (
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) PutMail(m booking.Mail) error {
	_, err := b.tx.Exec(`INSERT INTO booking_mails (tenant, id, kind, booking, person, pool, reason, free_from, free_to, until, at, tries, node, next_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?) ON CONFLICT DO NOTHING`,
		m.Tenant, m.ID, m.Kind, m.Booking, m.Person, m.Pool, m.Reason, Micros(m.Free.Start), Micros(m.Free.End), Micros(m.Until), Micros(m.At), Micros(m.At))
	return bookingErr("put mail", err)
}

func (b bookingTx) DueMails(now time.Time, limit int) ([]booking.Mail, error) {
	var list []booking.Mail
	err := b.each(func(scan func(...any) error) error {
		var m booking.Mail
		var from, to, until, at int64
		err := scan(&m.Tenant, &m.ID, &m.Kind, &m.Booking, &m.Person, &m.Pool, &m.Reason, &from, &to, &until, &at, &m.Tries)
		m.Free, m.Until, m.At = booking.Interval{Start: Time(from), End: Time(to)}, Time(until), Time(at)
		list = append(list, m)
		return err
	}, `SELECT tenant, id, kind, booking, person, pool, reason, free_from, free_to, until, at, tries FROM booking_mails
		WHERE next_at <= ? ORDER BY next_at, at, id LIMIT ?+0`, Micros(now), limit)
	return list, bookingErr("due mails", err)
}

func (b bookingTx) TakeMail(t lodge.Tenant, id, node string, now, until time.Time) (bool, error) {
	return b.changed("take mail", `UPDATE booking_mails SET node = ?, tries = tries + 1, next_at = ? WHERE tenant = ? AND id = ? AND next_at <= ?`,
		node, Micros(until), t, id, Micros(now))
}

func (b bookingTx) PostponeMail(t lodge.Tenant, id, node string, then time.Time) error {
	_, err := b.changed("postpone mail", `UPDATE booking_mails SET node = '', next_at = ? WHERE tenant = ? AND id = ? AND node = ?`, Micros(then), t, id, node)
	return err
}

func (b bookingTx) DropMail(t lodge.Tenant, id, node string) error {
	_, err := b.changed("drop mail", `DELETE FROM booking_mails WHERE tenant = ? AND id = ? AND node = ?`, t, id, node)
	return err
}

func (b bookingTx) SetReminders(t lodge.Tenant, id string, at []time.Time) error {
	if _, err := b.tx.Exec(`DELETE FROM booking_reminders WHERE tenant = ? AND booking = ?`, t, id); err != nil {
		return bookingErr("clear reminders", err)
	}
	for _, one := range at {
		if _, err := b.tx.Exec(`INSERT INTO booking_reminders (tenant, booking, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, t, id, Micros(one)); err != nil {
			return bookingErr("set reminder", err)
		}
	}
	return nil
}

func (b bookingTx) DueReminders(now time.Time, limit int) ([]booking.DueReminder, error) {
	var list []booking.DueReminder
	err := b.each(func(scan func(...any) error) error {
		var r booking.DueReminder
		err := scan(&r.Tenant, &r.Booking)
		list = append(list, r)
		return err
	}, `SELECT tenant, booking FROM booking_reminders WHERE at <= ? GROUP BY tenant, booking ORDER BY min(at), tenant, booking LIMIT ?+0`, Micros(now), limit)
	return list, bookingErr("due reminders", err)
}

func (b bookingTx) TakeReminders(t lodge.Tenant, id string, now time.Time) (bool, error) {
	return b.changed("take reminders", `DELETE FROM booking_reminders WHERE tenant = ? AND booking = ? AND at <= ?`, t, id, Micros(now))
}

func (b bookingTx) AddLink(t lodge.Tenant, hash []byte, id string, until time.Time) error {
	_, err := b.tx.Exec(`INSERT INTO booking_links (tenant, hash, booking, until) VALUES (?, ?, ?, ?)`, t, hash, id, Micros(until))
	return bookingErr("add link", err)
}

func (b bookingTx) TakeLink(t lodge.Tenant, hash []byte, now time.Time) (string, error) {
	var id string
	err := b.tx.Get(`DELETE FROM booking_links WHERE tenant = ? AND hash = ? AND until > ? RETURNING booking`, []any{t, hash, Micros(now)}, &id)
	return id, bookingErr("take link", err)
}

func (b bookingTx) ForgetLinks(now time.Time) error {
	_, err := b.tx.Exec(`DELETE FROM booking_links WHERE until <= ?`, Micros(now))
	return bookingErr("forget links", err)
}

// changed runs a statement and reports whether it changed anything.
func (b bookingTx) changed(what, statement string, args ...any) (bool, error) {
	done, err := b.tx.Exec(statement, args...)
	if err != nil {
		return false, bookingErr(what, err)
	}
	n, err := done.RowsAffected()
	return n > 0, bookingErr(what, err)
}
