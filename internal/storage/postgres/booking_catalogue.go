package postgres

import (
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) Revision(t lodge.Tenant) (uint64, error) {
	var revision uint64
	_, err := found(b.get(`SELECT revision FROM catalogue_revisions WHERE tenant = $1`, []any{t}, &revision))
	return revision, bookingErr("revision", err)
}

func (b bookingTx) Objects(t lodge.Tenant) ([]booking.Object, error) {
	var list []booking.Object
	err := b.each(func(scan scanner) error {
		var o booking.Object
		err := scan(&o.Kind, &o.Name, &o.Version, &o.Body)
		list = append(list, o)
		return err
	}, `SELECT kind, name, version, body FROM catalogue_objects WHERE tenant = $1 ORDER BY kind, name`, t)
	return list, bookingErr("objects", err)
}

func (b bookingTx) ChangeObjects(t lodge.Tenant, put []booking.Object, remove []booking.ObjectID) error {
	var revision uint64
	if err := b.get(`INSERT INTO catalogue_revisions AS c (tenant, revision) VALUES ($1, 1)
		ON CONFLICT (tenant) DO UPDATE SET revision = c.revision + 1 RETURNING revision`, []any{t}, &revision); err != nil {
		return bookingErr("revision", err)
	}
	for _, o := range remove {
		if _, err := b.later(anyRows, `WITH gone AS (DELETE FROM catalogue_objects WHERE tenant = $1 AND kind = $2 AND name = $3 RETURNING tenant, kind, name)
			INSERT INTO catalogue_removals (tenant, kind, name, version) SELECT tenant, kind, name, $4 FROM gone
			ON CONFLICT (tenant, kind, name) DO UPDATE SET version = excluded.version`, t, o.Kind, o.Name, revision); err != nil {
			return bookingErr("remove object", err)
		}
	}
	for _, o := range put {
		if _, err := b.later(1, `INSERT INTO catalogue_objects (tenant, kind, name, version, body) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (tenant, kind, name) DO UPDATE SET version = excluded.version, body = excluded.body`,
			t, o.Kind, o.Name, revision, o.Body); err != nil {
			return bookingErr("put object", err)
		}
		if _, err := b.later(anyRows, `DELETE FROM catalogue_removals WHERE tenant = $1 AND kind = $2 AND name = $3`, t, o.Kind, o.Name); err != nil {
			return bookingErr("put object back", err)
		}
	}
	return nil
}

func (b bookingTx) RemovedSince(t lodge.Tenant, revision uint64) ([]booking.Object, error) {
	var list []booking.Object
	err := b.each(func(scan scanner) error {
		var o booking.Object
		err := scan(&o.Kind, &o.Name, &o.Version)
		list = append(list, o)
		return err
	}, `SELECT kind, name, version FROM catalogue_removals WHERE tenant = $1 AND version > $2 ORDER BY kind, name`, t, revision)
	return list, bookingErr("removed objects", err)
}

func (b bookingTx) Live(t lodge.Tenant, now time.Time) ([]booking.Booking, error) {
	var list []booking.Booking
	err := b.each(func(scan scanner) error {
		r, err := scanBooking(scan)
		list = append(list, r.Booking)
		return err
	}, `SELECT `+bookingColumns+` FROM bookings WHERE tenant = $1 AND cancelled_at IS NULL AND end_at > $2 ORDER BY start_at, id`, t, moment(now))
	return list, bookingErr("live bookings", err)
}

func (b bookingTx) Move(n booking.Booking) error {
	if err := b.vacant(n); err != nil {
		return err
	}
	moved, err := b.later(1, `UPDATE bookings SET experiment = $1, slot = $2, ui_set = $3, version = version + 1
		WHERE tenant = $4 AND id = $5 AND version = $6`, n.Experiment, n.Slot, n.UISet, n.Tenant, n.ID, n.Version)
	if err == nil && moved == 0 {
		return booking.ErrStale
	}
	return bookingErr("move", err)
}
