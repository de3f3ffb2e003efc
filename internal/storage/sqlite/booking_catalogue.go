package sqlite

import (
	"database/sql"
	"errors"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (b bookingTx) Revision(t lodge.Tenant) (uint64, error) {
	var revision uint64
	err := b.tx.Get(`SELECT revision FROM catalogue_revisions WHERE tenant = ?`, []any{t}, &revision)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return revision, bookingErr("revision", err)
}

func (b bookingTx) Objects(t lodge.Tenant) ([]booking.Object, error) {
	var list []booking.Object
	err := b.each(func(scan func(...any) error) error {
		var o booking.Object
		err := scan(&o.Kind, &o.Name, &o.Version, &o.Body)
		list = append(list, o)
		return err
	}, `SELECT kind, name, version, body FROM catalogue_objects WHERE tenant = ? ORDER BY kind, name`, t)
	return list, bookingErr("objects", err)
}

func (b bookingTx) ChangeObjects(t lodge.Tenant, put []booking.Object, remove []booking.ObjectID) error {
	_, err := b.tx.Exec(`INSERT INTO catalogue_revisions (tenant, revision) VALUES (?, 1)
		ON CONFLICT (tenant) DO UPDATE SET revision = revision + 1`, t)
	if err != nil {
		return bookingErr("revision", err)
	}
	revision, err := b.Revision(t)
	if err != nil {
		return err
	}
	for _, o := range remove {
		if _, err := b.tx.Exec(`INSERT INTO catalogue_removals (tenant, kind, name, version)
			SELECT tenant, kind, name, ? FROM catalogue_objects WHERE tenant = ? AND kind = ? AND name = ?
			ON CONFLICT (tenant, kind, name) DO UPDATE SET version = excluded.version`, int64(revision), t, o.Kind, o.Name); err != nil {
			return bookingErr("note a removal", err)
		}
		if _, err := b.tx.Exec(`DELETE FROM catalogue_objects WHERE tenant = ? AND kind = ? AND name = ?`, t, o.Kind, o.Name); err != nil {
			return bookingErr("remove object", err)
		}
	}
	for _, o := range put {
		_, err := b.tx.Exec(`INSERT INTO catalogue_objects (tenant, kind, name, version, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (tenant, kind, name) DO UPDATE SET version = excluded.version, body = excluded.body`,
			t, o.Kind, o.Name, int64(revision), o.Body)
		if err != nil {
			return bookingErr("put object", err)
		}
		if _, err := b.tx.Exec(`DELETE FROM catalogue_removals WHERE tenant = ? AND kind = ? AND name = ?`, t, o.Kind, o.Name); err != nil {
			return bookingErr("put object back", err)
		}
	}
	return nil
}

func (b bookingTx) RemovedSince(t lodge.Tenant, revision uint64) ([]booking.Object, error) {
	var list []booking.Object
	err := b.each(func(scan func(...any) error) error {
		var o booking.Object
		err := scan(&o.Kind, &o.Name, &o.Version)
		list = append(list, o)
		return err
	}, `SELECT kind, name, version FROM catalogue_removals WHERE tenant = ? AND version > ? ORDER BY kind, name`, t, int64(revision))
	return list, bookingErr("removed objects", err)
}

func (b bookingTx) Live(t lodge.Tenant, now time.Time) ([]booking.Booking, error) {
	var list []booking.Booking
	err := b.each(func(scan func(...any) error) error {
		r, err := scanBooking(scan)
		list = append(list, r.Booking)
		return err
	}, `SELECT `+bookingColumns+` FROM bookings WHERE tenant = ? AND cancelled_at = 0 AND end_at > ? ORDER BY start_at, id`, t, Micros(now))
	return list, bookingErr("live bookings", err)
}

func (b bookingTx) Move(n booking.Booking) error {
	if err := b.vacant(n); err != nil {
		return err
	}
	res, err := b.tx.Exec(`UPDATE bookings SET experiment = ?, slot = ?, ui_set = ?, version = version + 1
		WHERE tenant = ? AND id = ? AND version = ?`, n.Experiment, n.Slot, n.UISet, n.Tenant, n.ID, int64(n.Version))
	if err != nil {
		return bookingErr("move", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(booking.ErrStale, err)
	}
	return nil
}
