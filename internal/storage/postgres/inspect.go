package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Facts are what an operator should know about a server.
type Facts struct {
	Version           int // such as 150004
	Fsync             string
	FullPageWrites    string
	SynchronousCommit string
	Clock             time.Time
	Asked             time.Time // the middle of the time in which the clock was asked for
}

// Inspect asks a server about itself, and changes nothing there.
func Inspect(ctx context.Context, url string) (f Facts, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return f, errors.New("postgres: it cannot be reached")
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	begun := time.Now()
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_commit'), clock_timestamp()`).Scan(&f.Version, &f.Fsync, &f.FullPageWrites, &f.SynchronousCommit, &f.Clock)
	f.Asked = begun.Add(time.Since(begun) / 2)
	if err != nil {
		return f, fmt.Errorf("postgres: settings: %w", err)
	}
	return f, nil
}
