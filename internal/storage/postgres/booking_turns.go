package postgres

import (
	"context"
	"time"

	"github.com/lodge-gateway/lodge/booking"
)

var _ booking.Claimer = bookings{}

// Claim implements booking.Claimer, by the server's clock.
func (s bookings) Claim(ctx context.Context, subject booking.Subject, node string, life time.Duration) (bool, error) {
	n, err := s.once(ctx, `INSERT INTO booking_turns AS t (tenant, subject, node, until) VALUES ($1, $2, $3, now() + $4::bigint * interval '1 microsecond')
		ON CONFLICT (tenant, subject) DO UPDATE SET node = excluded.node, until = excluded.until
		WHERE t.node = excluded.node OR t.until <= now()`, subject.Tenant, subject.Name, node, life.Microseconds())
	return n > 0, bookingErr("claim", err)
}

// once runs one statement that is a transaction by itself and may be repeated.
func (s bookings) once(ctx context.Context, statement string, args ...any) (n int64, err error) {
	err = s.db.retry(ctx, func(ctx context.Context) error {
		done, err := s.db.pool.Exec(ctx, statement, args...)
		n = done.RowsAffected()
		return err
	})
	return n, err
}

// Release implements booking.Claimer.
func (s bookings) Release(ctx context.Context, subject booking.Subject, node string) error {
	_, err := s.once(ctx, `DELETE FROM booking_turns WHERE tenant = $1 AND subject = $2 AND node = $3`, subject.Tenant, subject.Name, node)
	return bookingErr("release", err)
}

// Hold implements booking.TxClaimer.
func (b bookingTx) Hold(subject booking.Subject, node string, life time.Duration) error {
	_, err := b.later(1, `INSERT INTO booking_turns (tenant, subject, node, until) VALUES ($1, $2, $3, clock_timestamp() + $4::bigint * interval '1 microsecond')`,
		subject.Tenant, subject.Name, node, life.Microseconds())
	return bookingErr("hold", err)
}

// LetGo implements booking.TxClaimer.
func (b bookingTx) LetGo(subject booking.Subject, node string) error {
	_, err := b.later(anyRows, `DELETE FROM booking_turns WHERE tenant = $1 AND subject = $2 AND node = $3
		AND NOT EXISTS (SELECT 1 FROM booking_outbox WHERE tenant = $1 AND subject = $2)`, subject.Tenant, subject.Name, node)
	return bookingErr("let go", err)
}
