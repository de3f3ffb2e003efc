package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// listenPause is how long it takes at the most until a lost connection is made
// anew, over and over.
const listenPause = 2 * time.Second

// listen hears what other nodes changed until the log closes, on a connection of
// its own, made anew whenever it breaks. What is missed meanwhile, the poll of the
// readers finds.
func (l *Log) listen() {
	wait := 50 * time.Millisecond
	for {
		heard, err := l.hear()
		if l.calls.Life().Err() != nil {
			return
		}
		if heard {
			wait = 50 * time.Millisecond
		}
		l.db.out.Warn("hints of other nodes are not heard; polling until they are", slog.Any("error", err))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.calls.Life().Done():
			timer.Stop()
			return
		}
		wait = min(2*wait, listenPause)
	}
}

// hear listens on one connection until it breaks, and reports whether it did at
// all.
func (l *Log) hear() (heard bool, err error) {
	config := l.db.config.Copy()
	if err := renew(config, l.db.fresh); err != nil {
		return false, err
	}
	config.RuntimeParams["application_name"] += " listener"
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		for _, name := range l.tell.hinted(n.Payload) {
			l.calls.Publish(name)
		}
	}
	ctx, stop := context.WithTimeout(l.calls.Life(), l.db.timeout)
	defer stop()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, err
	}
	defer func() {
		end, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		_ = conn.Close(end) // it says goodbye to a server that may be gone
	}()
	if _, err := conn.Exec(ctx, `LISTEN `+logChannel); err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	for {
		if err := l.await(conn); err != nil {
			return true, err
		}
	}
}

// await waits for notifications, and then, in the silence behind them, for an
// answer of the server.
func (l *Log) await(conn *pgx.Conn) error {
	ctx, stop := context.WithTimeout(l.calls.Life(), l.listenPing)
	defer stop()
	if err := conn.PgConn().WaitForNotification(ctx); err == nil || ctx.Err() == nil || l.calls.Life().Err() != nil {
		return err
	}
	ctx, stop = context.WithTimeout(l.calls.Life(), l.db.timeout)
	defer stop()
	return conn.Ping(ctx)
}
