package postgres

import (
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

const waitColumns = `tenant, id, person, group_name, slot, pool, within_from, within_to, length, since,
	offer_slot, offer_from, offer_to, told_at, turn_until, due_at`

func scanWait(scan scanner) (booking.Wait, error) {
	var w booking.Wait
	var length int64
	err := scan(&w.Tenant, &w.ID, &w.Person, &w.Group, &w.Slot, &w.Pool, (*moment)(&w.Within.Start), (*moment)(&w.Within.End), &length, (*moment)(&w.Since),
		&w.Offer.Slot, (*moment)(&w.Offer.Start), (*moment)(&w.Offer.End), (*moment)(&w.ToldAt), (*moment)(&w.TurnUntil), (*moment)(&w.DueAt))
	w.Length = time.Duration(length) * time.Microsecond
	return w, err
}

func (b bookingTx) PutWait(w booking.Wait) error {
	_, err := b.later(1, `INSERT INTO booking_waits (`+waitColumns+`, target)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (tenant, id) DO UPDATE SET person = excluded.person, group_name = excluded.group_name, slot = excluded.slot, pool = excluded.pool,
			within_from = excluded.within_from, within_to = excluded.within_to, length = excluded.length, since = excluded.since,
			offer_slot = excluded.offer_slot, offer_from = excluded.offer_from, offer_to = excluded.offer_to, told_at = excluded.told_at,
			turn_until = excluded.turn_until, due_at = excluded.due_at, target = excluded.target`,
		w.Tenant, w.ID, w.Person, w.Group, w.Slot, w.Pool, moment(w.Within.Start), moment(w.Within.End), w.Length.Microseconds(), moment(w.Since),
		w.Offer.Slot, moment(w.Offer.Start), moment(w.Offer.End), moment(w.ToldAt), moment(w.TurnUntil), moment(w.DueAt), w.Target())
	return bookingErr("put wait", err)
}

func (b bookingTx) Wait(t lodge.Tenant, id string) (booking.Wait, error) {
	w, err := scanWait(func(dest ...any) error {
		return b.get(`SELECT `+waitColumns+` FROM booking_waits WHERE tenant = $1 AND id = $2`, []any{t, id}, dest...)
	})
	return w, bookingErr("wait", err)
}

func (b bookingTx) WaitsOf(t lodge.Tenant, person lodge.PersonID) ([]booking.Wait, error) {
	return b.waits(`SELECT `+waitColumns+` FROM booking_waits WHERE tenant = $1 AND person = $2 ORDER BY since, id`, t, person)
}

func (b bookingTx) WaitsFor(t lodge.Tenant, target string, limit int) ([]booking.Wait, error) {
	return b.waits(`SELECT `+waitColumns+` FROM booking_waits WHERE tenant = $1 AND target = $2 ORDER BY since, id LIMIT $3`, t, target, limit)
}

func (b bookingTx) waits(query string, args ...any) ([]booking.Wait, error) {
	var list []booking.Wait
	err := b.each(func(scan scanner) error {
		w, err := scanWait(scan)
		list = append(list, w)
		return err
	}, query, args...)
	return list, bookingErr("waits", err)
}

func (b bookingTx) DropWait(t lodge.Tenant, id string) error {
	_, err := b.later(anyRows, `DELETE FROM booking_waits WHERE tenant = $1 AND id = $2`, t, id)
	return bookingErr("drop wait", err)
}

func (b bookingTx) StirWaits(t lodge.Tenant, targets []string, at time.Time) error {
	_, err := b.later(anyRows, `UPDATE booking_waits SET due_at = $1 WHERE tenant = $2 AND (cardinality($3::text[]) = 0 OR target = ANY ($3))`,
		moment(at), t, append([]string{}, targets...))
	return bookingErr("stir waits", err)
}

func (b bookingTx) DueWaits(now time.Time, limit int) ([]booking.Subject, error) {
	var list []booking.Subject
	err := b.each(func(scan scanner) error {
		var s booking.Subject
		err := scan(&s.Tenant, &s.Name)
		list = append(list, s)
		return err
	}, `SELECT DISTINCT tenant, target FROM booking_waits WHERE due_at <= $1 LIMIT $2`, moment(now), limit)
	return list, bookingErr("due waits", err)
}
