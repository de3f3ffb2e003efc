package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// A moment is a time in a timestamptz column: in UTC, to the microsecond, with
// NULL for the zero time.
type moment time.Time

// TimestamptzValue implements pgtype.TimestamptzValuer.
func (m moment) TimestamptzValue() (pgtype.Timestamptz, error) {
	t := time.Time(m)
	return pgtype.Timestamptz{Time: t.Truncate(time.Microsecond), Valid: !t.IsZero()}, nil
}

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (m *moment) ScanTimestamptz(v pgtype.Timestamptz) error {
	*m = moment{}
	if v.Valid {
		*m = moment(v.Time.UTC())
	}
	return nil
}
