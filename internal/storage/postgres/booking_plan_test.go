package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lodge-gateway/lodge/booking"
)

// With thousands of bookings no question about the diary, a person or a reference
// reads a whole table: the server's own count says so.
func TestDiaryQueriesUseAnIndex(t *testing.T) {
	patient := quick()
	patient.Timeout = time.Minute // filling the tables takes a while on a busy machine
	db, err := Open(t.Context(), fresh(t), patient)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	at := func(m int) time.Time { return base.Add(time.Duration(m) * time.Minute) }
	err = db.Update(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		var all []error
		exec := func(statement string, args ...any) {
			_, err := tx.Exec(ctx, statement, args...)
			all = append(all, err)
		}
		exec(`INSERT INTO bookings (tenant, id, owner, made_for, owner_name, surname, experiment, slot, policy, group_name, ui_set,
				start_at, end_at, exclusive, cancel_reason, charged, version, sealed_key, created_at)
			SELECT 't', 'b' || i, 'p' || i % 300, 'p', '', '', 'x' || i % 3, '', 'q', '', '', $1::timestamptz + i * interval '10 minutes',
				$1::timestamptz + i * interval '10 minutes' + interval '5 minutes', true, '', 0, 1, '', $1::timestamptz
			FROM generate_series(0, 2999) i`, base)
		exec(`INSERT INTO booking_references (tenant, mac, booking, pepper) SELECT 't', ('r' || i)::bytea, 'b' || i, '1' FROM generate_series(0, 2999) i`)
		exec(`INSERT INTO booking_folds (tenant, mac, booking, pepper) SELECT 't', ('f' || i)::bytea, 'b' || i, '1' FROM generate_series(0, 2999) i`)
		exec(`ANALYZE bookings, booking_references, booking_folds`)
		return errors.Join(all...)
	})
	if err != nil {
		t.Fatal(err)
	}
	within := booking.Interval{Start: at(100), End: at(400)}
	for name, question := range map[string]func(booking.Tx) error{
		"the diary": func(tx booking.Tx) error {
			busy, err := tx.Busy("t", "x1", "", within, 100)
			if len(busy) != 10 {
				t.Errorf("%d taken", len(busy))
			}
			return err
		},
		"a person's": func(tx booking.Tx) error {
			return second(tx.List("t", booking.Filter{Owner: "p1", Within: within, Limit: 100}))
		},
		"an experiment's": func(tx booking.Tx) error {
			return second(tx.List("t", booking.Filter{Experiment: "x1", Within: within, Limit: 100}))
		},
		"a person's usage": func(tx booking.Tx) error {
			_, _, err := tx.Tally("t", "p1", "q", base)
			return err
		},
		"a booking":      func(tx booking.Tx) error { return second(tx.Booking("t", "b1")) },
		"a fold":         func(tx booking.Tx) error { return second(tx.FindFold("t", []byte("f1"))) },
		"a reference":    func(tx booking.Tx) error { return second(tx.HasReference("t", []byte("r1"))) },
		"who is awaited": func(tx booking.Tx) error { return second(tx.Awaited(base, 100)) },
		"a key": func(tx booking.Tx) error {
			if _, err := tx.ByKey("t", "p", []byte("k")); !errors.Is(err, booking.ErrUnknown) {
				return errors.Join(errors.New("there is none"), err)
			}
			return nil
		},
	} {
		err := NewBookings(db).View(t.Context(), func(tx booking.Tx) error {
			if err := question(tx); err != nil {
				return err
			}
			own, ok := tx.(bookingTx)
			if !ok {
				return fmt.Errorf("the transaction is a %T", tx)
			}
			var whole int
			err := own.get(`SELECT coalesce(sum(seq_scan), 0)::int FROM pg_stat_xact_user_tables
				WHERE relname IN ('bookings', 'booking_references', 'booking_folds')`, nil, &whole)
			if whole > 0 {
				t.Errorf("%s: %d whole tables were read", name, whole)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
