package postgres

import (
	"strconv"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

const bookingColumns = `tenant, id, owner, owner_name, surname, experiment, slot, policy, group_name, ui_set,
	start_at, end_at, exclusive, created_at, cancelled_at, cancel_reason, charged, version, idem_key, idem_digest, sealed, sealed_key, made_for,
	pool, came_at, come_by`

func scanBooking(scan scanner) (booking.Record, error) {
	var r booking.Record
	var charged int64
	err := scan(&r.Tenant, &r.ID, &r.Owner, &r.OwnerName, &r.Surname, &r.Experiment, &r.Slot, &r.Policy, &r.Group, &r.UISet,
		(*moment)(&r.Start), (*moment)(&r.End), &r.Exclusive, (*moment)(&r.CreatedAt), (*moment)(&r.CancelledAt), &r.CancelReason,
		&charged, &r.Version, &r.Key, &r.Digest, &r.Sealed, &r.SealedKey, &r.MadeFor,
		&r.Pool, (*moment)(&r.CameAt), (*moment)(&r.ComeBy))
	r.Charged = time.Duration(charged) * time.Microsecond
	return r, err
}

func (b bookingTx) Insert(r booking.Record) error {
	// A key that is there is no error, so that the transaction can go on; an overlap
	// is the table's to find, and is one.
	n, err := b.later(1, `INSERT INTO bookings (`+bookingColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 1, $18, $19, $20, $21, $22, $23, $24, $25) ON CONFLICT (tenant, made_for, idem_key) WHERE idem_key IS NOT NULL DO NOTHING`,
		r.Tenant, r.ID, r.Owner, cleaned(r.OwnerName), cleaned(r.Surname), r.Experiment, r.Slot, r.Policy, r.Group, r.UISet,
		moment(r.Start), moment(r.End), r.Exclusive, moment(r.CreatedAt), moment(r.CancelledAt), cleaned(r.CancelReason),
		r.Charged.Microseconds(), r.Key, r.Digest, r.Sealed, r.SealedKey, r.MadeFor,
		r.Pool, moment(r.CameAt), moment(r.ComeBy))
	if err == nil && n == 0 {
		return booking.ErrExists
	}
	return bookingErr("insert", err)
}

func (b bookingTx) Save(n booking.Booking) error {
	if err := b.vacant(n); err != nil {
		return err
	}
	saved, err := b.later(1, `UPDATE bookings SET end_at = $1, cancelled_at = $2, cancel_reason = $3, charged = $4, come_by = $8, version = version + 1
		WHERE tenant = $5 AND id = $6 AND version = $7`,
		moment(n.End), moment(n.CancelledAt), cleaned(n.CancelReason), n.Charged.Microseconds(), n.Tenant, n.ID, n.Version, moment(n.ComeBy))
	if err == nil && saved == 0 {
		return booking.ErrStale
	}
	return bookingErr("save", err)
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
	return b.record(`SELECT `+bookingColumns+` FROM bookings WHERE tenant = $1 AND id = $2`, t, id)
}

func (b bookingTx) ByKey(t lodge.Tenant, madeFor lodge.PersonID, key []byte) (booking.Record, error) {
	return b.record(`SELECT `+bookingColumns+` FROM bookings WHERE tenant = $1 AND made_for = $2 AND idem_key = $3`, t, madeFor, key)
}

func (b bookingTx) record(query string, args ...any) (booking.Record, error) {
	r, err := scanBooking(func(dest ...any) error { return b.get(query, args, dest...) })
	return r, bookingErr("read", err)
}

// Busy takes two steps through the diary's index: the intervals that start
// inside, and the one before them, which may reach in.
func (b bookingTx) Busy(t lodge.Tenant, experiment, except string, within booking.Interval, limit int) ([]booking.Interval, error) {
	var list []booking.Interval
	err := b.each(func(scan scanner) error {
		var i booking.Interval
		err := scan((*moment)(&i.Start), (*moment)(&i.End))
		if i.End.After(within.Start) && len(list) < limit {
			list = append(list, i)
		}
		return err
	}, `(SELECT start_at, end_at FROM bookings
			WHERE tenant = $1 AND experiment = $2 AND exclusive AND cancelled_at IS NULL AND start_at < $3 AND id <> $5
			ORDER BY start_at DESC LIMIT 1)
		UNION ALL
		(SELECT start_at, end_at FROM bookings
			WHERE tenant = $1 AND experiment = $2 AND exclusive AND cancelled_at IS NULL AND start_at >= $3 AND start_at < $4 AND id <> $5
			ORDER BY start_at LIMIT $6)
		ORDER BY start_at`, t, experiment, moment(within.Start), moment(within.End), except, limit)
	return list, bookingErr("diary", err)
}

// Diaries is Busy with the two steps taken from each of the experiments.
func (b bookingTx) Diaries(t lodge.Tenant, experiments []string, within booking.Interval, limit int) (map[string][]booking.Interval, error) {
	list := map[string][]booking.Interval{}
	err := b.each(func(scan scanner) error {
		var experiment string
		var i booking.Interval
		err := scan(&experiment, (*moment)(&i.Start), (*moment)(&i.End))
		if i.End.After(within.Start) && len(list[experiment]) < limit {
			list[experiment] = append(list[experiment], i)
		}
		return err
	}, `SELECT x, start_at, end_at FROM unnest($2::text[]) x CROSS JOIN LATERAL (
			(SELECT start_at, end_at FROM bookings
				WHERE tenant = $1 AND experiment = x COLLATE "C" AND exclusive AND cancelled_at IS NULL AND start_at < $3
				ORDER BY start_at DESC LIMIT 1)
			UNION ALL
			(SELECT start_at, end_at FROM bookings
				WHERE tenant = $1 AND experiment = x COLLATE "C" AND exclusive AND cancelled_at IS NULL AND start_at >= $3 AND start_at < $4
				ORDER BY start_at LIMIT $5)) diary`, t, experiments, moment(within.Start), moment(within.End), limit)
	return list, bookingErr("diaries", err)
}

func (b bookingTx) List(t lodge.Tenant, f booking.Filter) ([]booking.Booking, error) {
	query, args := `SELECT `+bookingColumns+` FROM bookings WHERE tenant = $1`, []any{t}
	and := func(condition string, arg any) {
		args = append(args, arg)
		query += ` AND ` + condition + `$` + strconv.Itoa(len(args))
	}
	if !f.Within.Start.IsZero() {
		and(`end_at > `, moment(f.Within.Start))
	}
	if !f.Within.End.IsZero() {
		and(`start_at < `, moment(f.Within.End))
	}
	if f.Owner != "" {
		and(`owner = `, f.Owner)
	}
	if f.Experiment != "" {
		and(`experiment = `, f.Experiment)
	}
	args = append(args, f.Limit)
	var list []booking.Booking
	err := b.each(func(scan scanner) error {
		r, err := scanBooking(scan)
		list = append(list, r.Booking)
		return err
	}, query+` ORDER BY start_at, id LIMIT $`+strconv.Itoa(len(args)), args...)
	return list, bookingErr("list", err)
}

func (b bookingTx) Tally(t lodge.Tenant, owner lodge.PersonID, policy string, now time.Time) (int, time.Duration, error) {
	var live int
	var charged int64
	err := b.get(`SELECT count(*) FILTER (WHERE cancelled_at IS NULL AND end_at > $1), coalesce(sum(charged), 0)::bigint FROM bookings
		WHERE tenant = $2 AND owner = $3 AND policy = $4`, []any{moment(now), t, owner, policy}, &live, &charged)
	return live, time.Duration(charged) * time.Microsecond, bookingErr("tally", err)
}

func (b bookingTx) Owner(t lodge.Tenant, person lodge.PersonID) (lodge.PersonID, error) {
	owner := person
	_, err := found(b.get(`SELECT owner FROM booking_owners WHERE tenant = $1 AND person = $2`, []any{t, person}, &owner))
	return owner, bookingErr("owner", err)
}

func (b bookingTx) SetOwner(t lodge.Tenant, person, owner lodge.PersonID) ([]string, error) {
	var err error
	if person == owner {
		_, err = b.exec(`DELETE FROM booking_owners WHERE tenant = $1 AND person = $2`, t, person)
	} else {
		_, err = b.exec(`INSERT INTO booking_owners (tenant, person, owner) VALUES ($1, $2, $3)
			ON CONFLICT (tenant, person) DO UPDATE SET owner = excluded.owner`, t, person, owner)
	}
	if err != nil {
		return nil, bookingErr("set owner", err)
	}
	var moved []string
	err = b.each(func(scan scanner) error {
		var id string
		err := scan(&id)
		moved = append(moved, id)
		return err
	}, `UPDATE bookings SET owner = $1, version = version + 1 WHERE tenant = $2 AND made_for = $3 AND owner <> $1 RETURNING id`,
		owner, t, person)
	return moved, bookingErr("set owner", err)
}
