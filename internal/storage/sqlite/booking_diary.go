package sqlite

import (
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

const bookingColumns = `tenant, id, owner, owner_name, surname, experiment, slot, policy, group_name, ui_set,
	start_at, end_at, exclusive, created_at, cancelled_at, cancel_reason, charged, version, idem_key, idem_digest, sealed, sealed_key, made_for,
	pool, came_at, come_by`

func scanBooking(scan func(...any) error) (booking.Record, error) {
	var r booking.Record
	var start, end, created, cancelled, charged, came, by int64
	err := scan(&r.Tenant, &r.ID, &r.Owner, &r.OwnerName, &r.Surname, &r.Experiment, &r.Slot, &r.Policy, &r.Group, &r.UISet,
		&start, &end, &r.Exclusive, &created, &cancelled, &r.CancelReason, &charged, &r.Version, &r.Key, &r.Digest, &r.Sealed, &r.SealedKey, &r.MadeFor,
		&r.Pool, &came, &by)
	r.Start, r.End, r.CreatedAt, r.CancelledAt = Time(start), Time(end), Time(created), Time(cancelled)
	r.CameAt, r.ComeBy = Time(came), Time(by)
	r.Charged = time.Duration(charged) * time.Microsecond
	return r, err
}

func (b bookingTx) Insert(r booking.Record) error {
	if err := b.vacant(r.Booking); err != nil {
		return err
	}
	_, err := b.tx.Exec(`INSERT INTO bookings (`+bookingColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Tenant, r.ID, r.Owner, r.OwnerName, r.Surname, r.Experiment, r.Slot, r.Policy, r.Group, r.UISet,
		Micros(r.Start), Micros(r.End), r.Exclusive, Micros(r.CreatedAt), Micros(r.CancelledAt), r.CancelReason,
		r.Charged.Microseconds(), r.Key, r.Digest, r.Sealed, r.SealedKey, r.MadeFor,
		r.Pool, Micros(r.CameAt), Micros(r.ComeBy))
	if IsUnique(err) {
		return booking.ErrExists
	}
	return bookingErr("insert", err)
}

func (b bookingTx) Save(n booking.Booking) error {
	if err := b.vacant(n); err != nil {
		return err
	}
	res, err := b.tx.Exec(`UPDATE bookings SET end_at = ?, cancelled_at = ?, cancel_reason = ?, charged = ?, come_by = ?, version = version + 1
		WHERE tenant = ? AND id = ? AND version = ?`,
		Micros(n.End), Micros(n.CancelledAt), n.CancelReason, n.Charged.Microseconds(), Micros(n.ComeBy), n.Tenant, n.ID, int64(n.Version))
	if err != nil {
		return bookingErr("save", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(booking.ErrStale, err)
	}
	return nil
}

// vacant returns ErrOverlap when a booking would meet another in the diary.
func (b bookingTx) vacant(n booking.Booking) error {
	if !n.Exclusive || !n.CancelledAt.IsZero() {
		return nil
	}
	taken, err := b.Busy(n.Tenant, n.Experiment, n.ID, n.Interval(), 1)
	if err == nil && len(taken) > 0 {
		return booking.ErrOverlap
	}
	return err
}

func (b bookingTx) Booking(t lodge.Tenant, id string) (booking.Record, error) {
	return b.record(`SELECT `+bookingColumns+` FROM bookings WHERE tenant = ? AND id = ?`, t, id)
}

func (b bookingTx) ByKey(t lodge.Tenant, madeFor lodge.PersonID, key []byte) (booking.Record, error) {
	return b.record(`SELECT `+bookingColumns+` FROM bookings WHERE tenant = ? AND made_for = ? AND idem_key = ?`, t, madeFor, key)
}

func (b bookingTx) record(query string, args ...any) (booking.Record, error) {
	r, err := scanBooking(func(dest ...any) error { return b.tx.Get(query, args, dest...) })
	return r, bookingErr("read", err)
}

// Busy takes two steps through the diary's index: the intervals that start
// inside, and the one before them, which may reach in.
func (b bookingTx) Busy(t lodge.Tenant, experiment, except string, within booking.Interval, limit int) ([]booking.Interval, error) {
	from, until := Micros(within.Start), Micros(within.End)
	var list []booking.Interval
	scan := func(scan func(...any) error) error {
		var start, end int64
		if err := scan(&start, &end); err != nil {
			return err
		}
		if end > from && len(list) < limit {
			list = append(list, booking.Interval{Start: Time(start), End: Time(end)})
		}
		return nil
	}
	err := b.each(scan, `SELECT start_at, end_at FROM bookings
		WHERE tenant = ? AND experiment = ? AND exclusive = 1 AND cancelled_at = 0 AND start_at < ? AND id <> ?
		ORDER BY start_at DESC LIMIT 1`, t, experiment, from, except)
	if err != nil {
		return nil, bookingErr("diary", err)
	}
	err = b.each(scan, `SELECT start_at, end_at FROM bookings
		WHERE tenant = ? AND experiment = ? AND exclusive = 1 AND cancelled_at = 0 AND start_at >= ? AND start_at < ? AND id <> ?
		ORDER BY start_at LIMIT ?+0`, t, experiment, from, until, except, limit)
	return list, bookingErr("diary", err)
}

func (b bookingTx) List(t lodge.Tenant, f booking.Filter) ([]booking.Booking, error) {
	from, until := Micros(f.Within.Start), Micros(f.Within.End)
	if until == 0 {
		until = 1<<63 - 1
	}
	// To sort up to a bound, SQLite makes a table for what it sorts, which takes
	// ten times as long as finding a person's few bookings: those are counted here.
	query, args := `SELECT `+bookingColumns+` FROM bookings
		WHERE tenant = ? AND end_at > ? AND start_at < ? ORDER BY start_at, id LIMIT ?+0`, []any{t, from, until, f.Limit}
	switch {
	case f.Owner != "" && f.Experiment != "":
		query, args = `SELECT `+bookingColumns+` FROM bookings
			WHERE tenant = ? AND owner = ? AND experiment = ? AND end_at > ? AND start_at < ? ORDER BY start_at, id`,
			[]any{t, f.Owner, f.Experiment, from, until}
	case f.Owner != "":
		query, args = `SELECT `+bookingColumns+` FROM bookings
			WHERE tenant = ? AND owner = ? AND end_at > ? AND start_at < ? ORDER BY start_at, id`,
			[]any{t, f.Owner, from, until}
	case f.Experiment != "":
		query, args = `SELECT `+bookingColumns+` FROM bookings
			WHERE tenant = ? AND experiment = ? AND end_at > ? AND start_at < ? ORDER BY start_at, id LIMIT ?+0`,
			[]any{t, f.Experiment, from, until, f.Limit}
	}
	var list []booking.Booking
	err := b.each(func(scan func(...any) error) error {
		if len(list) >= f.Limit {
			return errEnough
		}
		r, err := scanBooking(scan)
		list = append(list, r.Booking)
		return err
	}, query, args...)
	if errors.Is(err, errEnough) {
		return list, nil
	}
	return list, bookingErr("list", err)
}

// errEnough ends the reading of rows.
var errEnough = errors.New("sqlite: there are more rows than were asked for")

func (b bookingTx) Tally(t lodge.Tenant, owner lodge.PersonID, policy string, now time.Time) (int, time.Duration, error) {
	var live int
	var charged int64
	err := b.tx.Get(`SELECT coalesce(sum(cancelled_at = 0 AND end_at > ?), 0), coalesce(sum(charged), 0) FROM bookings
		WHERE tenant = ? AND owner = ? AND policy = ?`, []any{Micros(now), t, owner, policy}, &live, &charged)
	return live, time.Duration(charged) * time.Microsecond, bookingErr("tally", err)
}
