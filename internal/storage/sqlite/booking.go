package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// bookings implements booking.Store. What belongs to the diary is in
// booking_diary.go, the catalogue in booking_catalogue.go, the rest of a
// transaction here and in booking_outbox.go.
type bookings struct{ db *DB }

// NewBookings returns the booking store of a database.
func NewBookings(db *DB) booking.Store { return bookings{db} }

func (s bookings) Update(ctx context.Context, fn func(tx booking.Tx) error) error {
	return s.db.Update(ctx, func(tx *Tx) error { return fn(bookingTx{tx}) })
}

// UpdateSoon implements booking.Sooner.
func (s bookings) UpdateSoon(ctx context.Context, fn func(tx booking.Tx) error) error {
	return s.db.UpdateSoon(ctx, func(tx *Tx) error { return fn(bookingTx{tx}) })
}

func (s bookings) View(ctx context.Context, fn func(tx booking.Tx) error) error {
	return s.db.View(ctx, func(tx *Tx) error { return fn(bookingTx{tx}) })
}

// bookingTx implements booking.Tx. Its queries, as others here, end in LIMIT ?+0, not LIMIT ?: a
// bare parameter there has SQLite prepare the statement anew whenever its value is
// bound, which takes ten times as long as running it.
type bookingTx struct{ tx *Tx }

func (b bookingTx) ExperimentState(t lodge.Tenant, experiment string) (booking.ExperimentState, error) {
	s := booking.ExperimentState{Experiment: experiment}
	var since int64
	err := b.tx.Get(`SELECT online, reason, set_by, since FROM experiment_states WHERE tenant = ? AND experiment = ?`,
		[]any{t, experiment}, &s.Online, &s.Reason, &s.By, &since)
	s.Since = Time(since)
	return s, bookingErr("experiment state", err)
}

func (b bookingTx) ExperimentStates(t lodge.Tenant) ([]booking.ExperimentState, error) {
	var list []booking.ExperimentState
	err := b.each(func(scan func(...any) error) error {
		var s booking.ExperimentState
		var since int64
		err := scan(&s.Experiment, &s.Online, &s.Reason, &s.By, &since)
		s.Since = Time(since)
		list = append(list, s)
		return err
	}, `SELECT experiment, online, reason, set_by, since FROM experiment_states WHERE tenant = ?`, t)
	return list, bookingErr("experiment states", err)
}

func (b bookingTx) SetExperimentState(t lodge.Tenant, s booking.ExperimentState) error {
	_, err := b.tx.Exec(`INSERT INTO experiment_states (tenant, experiment, online, reason, set_by, since) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, experiment) DO UPDATE SET
			online = excluded.online, reason = excluded.reason, set_by = excluded.set_by, since = excluded.since`,
		t, s.Experiment, s.Online, s.Reason, s.By, Micros(s.Since))
	return bookingErr("set experiment state", err)
}

// each calls fn for every row of a query.
func (b bookingTx) each(fn func(scan func(...any) error) error, query string, args ...any) (err error) {
	rows, err := b.tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// bookingErr says what failed; no row is booking.ErrUnknown.
func bookingErr(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return booking.ErrUnknown
	}
	return fmt.Errorf("sqlite: booking: %s: %w", what, err)
}
