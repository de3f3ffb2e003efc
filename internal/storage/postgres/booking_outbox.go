package postgres

import (
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) AddReference(t lodge.Tenant, id, pepper string, reference []byte, folds [][]byte) error {
	n, err := b.later(1, `INSERT INTO booking_references (tenant, mac, booking, pepper) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, t, reference, id, pepper)
	if err != nil {
		return bookingErr("add reference", err)
	}
	if n == 0 {
		return booking.ErrExists
	}
	_, err = b.later(int64(len(folds)), `INSERT INTO booking_folds (tenant, mac, booking, pepper) SELECT $1, mac, $3, $4 FROM unnest($2::bytea[]) mac`,
		t, folds, id, pepper)
	return bookingErr("add folds", err)
}

func (b bookingTx) FindFold(t lodge.Tenant, fold []byte) (string, error) {
	var id string
	err := b.get(`SELECT booking FROM booking_folds WHERE tenant = $1 AND mac = $2`, []any{t, fold}, &id)
	return id, bookingErr("find fold", err)
}

func (b bookingTx) Forget(then, now time.Time) (int, error) {
	n, err := b.exec(`WITH dead AS (
			DELETE FROM booking_references r USING bookings b
			WHERE b.tenant = r.tenant AND b.id = r.booking AND least(b.cancelled_at, b.end_at) < $1
			RETURNING r.tenant, r.booking),
		folds AS (DELETE FROM booking_folds f USING dead d WHERE f.tenant = d.tenant AND f.booking = d.booking)
		UPDATE bookings b SET sealed = NULL, sealed_key = '' FROM dead d WHERE b.tenant = d.tenant AND b.id = d.booking`, moment(then))
	if err != nil {
		return 0, bookingErr("forget references", err)
	}
	_, err = b.exec(`DELETE FROM booking_tries WHERE at < $1`, moment(now))
	return int(n), bookingErr("forget tries", err)
}

func (b bookingTx) Rate(t lodge.Tenant, key []byte) (time.Time, error) {
	var at time.Time
	_, err := found(b.get(`SELECT at FROM booking_tries WHERE tenant = $1 AND key = $2`, []any{t, key}, (*moment)(&at)))
	return at, bookingErr("rate", err)
}

func (b bookingTx) SetRate(t lodge.Tenant, key []byte, at time.Time) error {
	_, err := b.later(1, `INSERT INTO booking_tries (tenant, key, at) VALUES ($1, $2, $3)
		ON CONFLICT (tenant, key) DO UPDATE SET at = excluded.at`, t, key, moment(at))
	return bookingErr("set rate", err)
}

func (b bookingTx) Enqueue(subject string, e booking.Effect) error {
	_, err := b.later(1, `INSERT INTO booking_outbox (tenant, subject, effect, kind, booking, wait, experiment, reason, at, tries, next_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $9)`,
		e.Tenant, subject, e.ID, e.Kind, e.Booking.ID, e.Wait.ID, e.Experiment, cleaned(e.Reason), moment(e.At))
	return bookingErr("enqueue", err)
}

func (b bookingTx) Next(t lodge.Tenant, subject string) (booking.Effect, int, error) {
	e := booking.Effect{Tenant: t}
	var tries int
	err := b.get(`SELECT effect, kind, booking, wait, experiment, reason, at, tries FROM booking_outbox
		WHERE tenant = $1 AND subject = $2 ORDER BY seq LIMIT 1`, []any{t, subject},
		&e.ID, &e.Kind, &e.Booking.ID, &e.Wait.ID, &e.Experiment, &e.Reason, (*moment)(&e.At), &tries)
	return e, tries, bookingErr("next effect", err)
}

func (b bookingTx) Due(now time.Time, limit int) ([]booking.Subject, error) {
	var list []booking.Subject
	err := b.each(func(scan scanner) error {
		var s booking.Subject
		err := scan(&s.Tenant, &s.Name)
		list = append(list, s)
		return err
	}, `SELECT tenant, subject FROM booking_outbox
		WHERE seq IN (SELECT min(seq) FROM booking_outbox GROUP BY tenant, subject) AND next_at <= $1
		ORDER BY next_at, seq LIMIT $2`, moment(now), limit)
	return list, bookingErr("due effects", err)
}

func (b bookingTx) Done(t lodge.Tenant, effect string) error {
	_, err := b.later(anyRows, `DELETE FROM booking_outbox WHERE tenant = $1 AND effect = $2`, t, effect)
	return bookingErr("effect done", err)
}

func (b bookingTx) Postpone(t lodge.Tenant, effect string, until time.Time) error {
	_, err := b.later(anyRows, `UPDATE booking_outbox SET tries = tries + 1, next_at = $1 WHERE tenant = $2 AND effect = $3`, moment(until), t, effect)
	return bookingErr("postpone effect", err)
}
