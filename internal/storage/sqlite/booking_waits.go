package sqlite

import (
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

const waitColumns = `tenant, id, person, group_name, slot, pool, within_from, within_to, length, since,
	offer_slot, offer_from, offer_to, told_at, turn_until, due_at`

func scanWait(scan func(...any) error) (booking.Wait, error) {
	var w booking.Wait
	var from, to, length, since, offerFrom, offerTo, told, turn, due int64
	err := scan(&w.Tenant, &w.ID, &w.Person, &w.Group, &w.Slot, &w.Pool, &from, &to, &length, &since,
		&w.Offer.Slot, &offerFrom, &offerTo, &told, &turn, &due)
	w.Within, w.Since = booking.Interval{Start: Time(from), End: Time(to)}, Time(since)
	w.Length = time.Duration(length) * time.Microsecond
	w.Offer.Interval = booking.Interval{Start: Time(offerFrom), End: Time(offerTo)}
	w.ToldAt, w.TurnUntil, w.DueAt = Time(told), Time(turn), Time(due)
	return w, err
}

func (b bookingTx) PutWait(w booking.Wait) error {
	_, err := b.tx.Exec(`INSERT OR REPLACE INTO booking_waits (`+waitColumns+`, target)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		w.Tenant, w.ID, w.Person, w.Group, w.Slot, w.Pool, Micros(w.Within.Start), Micros(w.Within.End), w.Length.Microseconds(), Micros(w.Since),
		w.Offer.Slot, Micros(w.Offer.Start), Micros(w.Offer.End), Micros(w.ToldAt), Micros(w.TurnUntil), Micros(w.DueAt), w.Target())
	return bookingErr("put wait", err)
}

func (b bookingTx) Wait(t lodge.Tenant, id string) (booking.Wait, error) {
	w, err := scanWait(func(dest ...any) error {
		return b.tx.Get(`SELECT `+waitColumns+` FROM booking_waits WHERE tenant = ? AND id = ?`, []any{t, id}, dest...)
	})
	return w, bookingErr("wait", err)
}

func (b bookingTx) WaitsOf(t lodge.Tenant, person lodge.PersonID) ([]booking.Wait, error) {
	return b.waits(`SELECT `+waitColumns+` FROM booking_waits WHERE tenant = ? AND person = ? ORDER BY since, id`, t, person)
}

func (b bookingTx) WaitsFor(t lodge.Tenant, target string, limit int) ([]booking.Wait, error) {
	return b.waits(`SELECT `+waitColumns+` FROM booking_waits WHERE tenant = ? AND target = ? ORDER BY since, id LIMIT ?+0`, t, target, limit)
}

func (b bookingTx) waits(query string, args ...any) ([]booking.Wait, error) {
	var list []booking.Wait
	err := b.each(func(scan func(...any) error) error {
		w, err := scanWait(scan)
		list = append(list, w)
		return err
	}, query, args...)
	return list, bookingErr("waits", err)
}

func (b bookingTx) DropWait(t lodge.Tenant, id string) error {
	_, err := b.tx.Exec(`DELETE FROM booking_waits WHERE tenant = ? AND id = ?`, t, id)
	return bookingErr("drop wait", err)
}

func (b bookingTx) StirWaits(t lodge.Tenant, targets []string, at time.Time) error {
	if len(targets) == 0 {
		_, err := b.tx.Exec(`UPDATE booking_waits SET due_at = ? WHERE tenant = ?`, Micros(at), t)
		return bookingErr("stir waits", err)
	}
	for _, target := range targets {
		if _, err := b.tx.Exec(`UPDATE booking_waits SET due_at = ? WHERE tenant = ? AND target = ?`, Micros(at), t, target); err != nil {
			return bookingErr("stir waits", err)
		}
	}
	return nil
}

func (b bookingTx) DueWaits(now time.Time, limit int) ([]booking.Subject, error) {
	var list []booking.Subject
	err := b.each(func(scan func(...any) error) error {
		var s booking.Subject
		err := scan(&s.Tenant, &s.Name)
		list = append(list, s)
		return err
	}, `SELECT DISTINCT tenant, target FROM booking_waits WHERE due_at <= ? LIMIT ?+0`, Micros(now), limit)
	return list, bookingErr("due waits", err)
}
