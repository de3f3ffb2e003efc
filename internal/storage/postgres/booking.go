package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// bookings implements booking.Store for several nodes. What belongs to the diary
// is in booking_diary.go, the catalogue in booking_catalogue.go, the rest of a
// transaction here and in booking_outbox.go.
//
// Transactions are serializable: whatever a desk decides by, the server gives up
// one of two that could not have come one after the other, and it is run again.
// That no two bookings overlap is held by the table too.
type bookings struct {
	db      *DB
	updates *group
}

// NewBookings returns the booking store of a database.
func NewBookings(db *DB) booking.Store { return newBookings(db) }

func newBookings(db *DB) bookings { return bookings{db, &group{db: db}} }

func (s bookings) Update(ctx context.Context, fn func(tx booking.Tx) error) error {
	return s.updates.Update(ctx, fn)
}

func (s bookings) View(ctx context.Context, fn func(tx booking.Tx) error) error {
	return s.db.View(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(bookingTx{&line{ctx: ctx, tx: tx}}) })
}

// UpdateSoon implements booking.Sooner.
func (s bookings) UpdateSoon(ctx context.Context, fn func(tx booking.Tx) error) error {
	return s.updates.do(ctx, &update{fn: fn, soon: true})
}

// bookingTx implements booking.Tx.
type bookingTx struct{ *line }

// Ahead implements booking.Aheader.
func (b bookingTx) Ahead(fn func(tx booking.Tx)) error {
	return b.read(func(l *line) { fn(bookingTx{l}) })
}

func (b bookingTx) ExperimentState(t lodge.Tenant, experiment string) (booking.ExperimentState, error) {
	s := booking.ExperimentState{Experiment: experiment}
	err := b.get(`SELECT online, reason, set_by, since FROM experiment_states WHERE tenant = $1 AND experiment = $2`,
		[]any{t, experiment}, &s.Online, &s.Reason, &s.By, (*moment)(&s.Since))
	return s, bookingErr("experiment state", err)
}

func (b bookingTx) ExperimentStates(t lodge.Tenant) ([]booking.ExperimentState, error) {
	var list []booking.ExperimentState
	err := b.each(func(scan scanner) error {
		var s booking.ExperimentState
		err := scan(&s.Experiment, &s.Online, &s.Reason, &s.By, (*moment)(&s.Since))
		list = append(list, s)
		return err
	}, `SELECT experiment, online, reason, set_by, since FROM experiment_states WHERE tenant = $1`, t)
	return list, bookingErr("experiment states", err)
}

func (b bookingTx) SetExperimentState(t lodge.Tenant, s booking.ExperimentState) error {
	_, err := b.later(1, `INSERT INTO experiment_states (tenant, experiment, online, reason, set_by, since) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (tenant, experiment) DO UPDATE SET
			online = excluded.online, reason = excluded.reason, set_by = excluded.set_by, since = excluded.since`,
		t, s.Experiment, s.Online, cleaned(s.Reason), s.By, moment(s.Since))
	return bookingErr("set experiment state", err)
}

// bookingErr says what failed; no row is booking.ErrUnknown.
func bookingErr(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return booking.ErrUnknown
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case e.ConstraintName == "bookings_overlap":
			return booking.ErrOverlap
		case e.Code == "22021": // an id that is no text belongs to nothing
			return booking.ErrUnknown
		}
	}
	return fmt.Errorf("postgres: booking: %s: %w", what, err)
}
