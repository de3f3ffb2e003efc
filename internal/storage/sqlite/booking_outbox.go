package sqlite

import (
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) AddReference(t lodge.Tenant, id, pepper string, reference []byte, folds [][]byte) error {
	_, err := b.tx.Exec(`INSERT INTO booking_references (tenant, mac, booking, pepper) VALUES (?, ?, ?, ?)`, t, reference, id, pepper)
	if IsUnique(err) {
		return booking.ErrExists
	}
	if err != nil {
		return bookingErr("add reference", err)
	}
	for _, fold := range folds {
		if _, err := b.tx.Exec(`INSERT INTO booking_folds (tenant, mac, booking, pepper) VALUES (?, ?, ?, ?)`, t, fold, id, pepper); err != nil {
			return bookingErr("add fold", err)
		}
	}
	return nil
}

func (b bookingTx) FindFold(t lodge.Tenant, fold []byte) (string, error) {
	var id string
	err := b.tx.Get(`SELECT booking FROM booking_folds WHERE tenant = ? AND mac = ?`, []any{t, fold}, &id)
	return id, bookingErr("find fold", err)
}

func (b bookingTx) Forget(then, now time.Time) (int, error) {
	type dead struct{ tenant, id string }
	var list []dead
	err := b.each(func(scan func(...any) error) error {
		var d dead
		err := scan(&d.tenant, &d.id)
		list = append(list, d)
		return err
	}, `SELECT r.tenant, r.booking FROM booking_references r JOIN bookings b ON b.tenant = r.tenant AND b.id = r.booking
		WHERE CASE WHEN b.cancelled_at > 0 AND b.cancelled_at < b.end_at THEN b.cancelled_at ELSE b.end_at END < ?`, Micros(then))
	if err != nil {
		return 0, bookingErr("find dead references", err)
	}
	for _, d := range list {
		for _, query := range []string{
			`DELETE FROM booking_folds WHERE tenant = ? AND booking = ?`,
			`DELETE FROM booking_references WHERE tenant = ? AND booking = ?`,
			`UPDATE bookings SET sealed = NULL, sealed_key = '' WHERE tenant = ? AND id = ?`,
		} {
			if _, err := b.tx.Exec(query, d.tenant, d.id); err != nil {
				return 0, bookingErr("forget reference", err)
			}
		}
	}
	_, err = b.tx.Exec(`DELETE FROM booking_tries WHERE at < ?`, Micros(now))
	return len(list), bookingErr("forget tries", err)
}

func (b bookingTx) Rate(t lodge.Tenant, key []byte) (time.Time, error) {
	var at int64
	err := bookingErr("rate", b.tx.Get(`SELECT at FROM booking_tries WHERE tenant = ? AND key = ?`, []any{t, key}, &at))
	if errors.Is(err, booking.ErrUnknown) {
		return time.Time{}, nil
	}
	return Time(at), err
}

func (b bookingTx) SetRate(t lodge.Tenant, key []byte, at time.Time) error {
	_, err := b.tx.Exec(`INSERT INTO booking_tries (tenant, key, at) VALUES (?, ?, ?)
		ON CONFLICT (tenant, key) DO UPDATE SET at = excluded.at`, t, key, Micros(at))
	return bookingErr("set rate", err)
}

func (b bookingTx) Enqueue(subject string, e booking.Effect) error {
	_, err := b.tx.Exec(`INSERT INTO booking_outbox (tenant, subject, effect, kind, booking, wait, experiment, reason, at, tries, next_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
		e.Tenant, subject, e.ID, e.Kind, e.Booking.ID, e.Wait.ID, e.Experiment, e.Reason, Micros(e.At), Micros(e.At))
	return bookingErr("enqueue", err)
}

func (b bookingTx) Next(t lodge.Tenant, subject string) (booking.Effect, int, error) {
	e := booking.Effect{Tenant: t}
	var at int64
	var tries int
	err := b.tx.Get(`SELECT effect, kind, booking, wait, experiment, reason, at, tries FROM booking_outbox
		WHERE tenant = ? AND subject = ? ORDER BY seq LIMIT 1`, []any{t, subject},
		&e.ID, &e.Kind, &e.Booking.ID, &e.Wait.ID, &e.Experiment, &e.Reason, &at, &tries)
	e.At = Time(at)
	return e, tries, bookingErr("next effect", err)
}

func (b bookingTx) Due(now time.Time, limit int) ([]booking.Subject, error) {
	var list []booking.Subject
	err := b.each(func(scan func(...any) error) error {
		var s booking.Subject
		err := scan(&s.Tenant, &s.Name)
		list = append(list, s)
		return err
	}, `SELECT tenant, subject FROM booking_outbox
		WHERE seq IN (SELECT min(seq) FROM booking_outbox GROUP BY tenant, subject) AND next_at <= ?
		ORDER BY next_at, seq LIMIT ?+0`, Micros(now), limit)
	return list, bookingErr("due effects", err)
}

func (b bookingTx) Done(t lodge.Tenant, effect string) error {
	_, err := b.tx.Exec(`DELETE FROM booking_outbox WHERE tenant = ? AND effect = ?`, t, effect)
	return bookingErr("effect done", err)
}

func (b bookingTx) Postpone(t lodge.Tenant, effect string, until time.Time) error {
	_, err := b.tx.Exec(`UPDATE booking_outbox SET tries = tries + 1, next_at = ? WHERE tenant = ? AND effect = ?`, Micros(until), t, effect)
	return bookingErr("postpone effect", err)
}
