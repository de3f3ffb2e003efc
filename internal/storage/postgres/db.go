// Package postgres is the storage of an installation of several nodes: one
// PostgreSQL database, version 13 or newer, that they share.
//
// A node reaches it by a pool of connections of its own, beside which the message
// log holds one that listens. Poolers between the two must be in session mode:
// settings, prepared statements and LISTEN belong to a session.
//
// Every session asks the server to end its statements and its idle transactions
// after a while, so that a node that hangs holds no lock for long, and has commits
// wait for the disk, whatever the server's default. An answered write is so
// durable as the server is configured to make it: with fsync switched off there,
// nothing is, and Open says so in the log.
//
// One file here implements one interface of a leaf; each takes a *DB.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options tune a DB. The zero value is good for a server.
type Options struct {
	// MaxConns is how many connections the pool holds at the most; 16 when zero.
	MaxConns int
	// Timeout is how long a call may take whose context allows more, and how
	// long the server works on one statement; 15 s when zero.
	Timeout time.Duration
	// Application is the name that the server lists connections under; "lodge"
	// when empty.
	Application string
	// Logger gets what an operator should know; slog.Default() when nil.
	Logger *slog.Logger
	// Fresh, when it is set, is asked for the URL again at each new connection;
	// the user and the password that it names then count.
	Fresh func() (string, error)
}

// A DB is a database and a pool of connections to it. It is safe for concurrent
// use.
type DB struct {
	pool    *pgxpool.Pool
	config  *pgx.ConnConfig // of the connections; not to be changed
	fresh   func() (string, error)
	timeout time.Duration
	out     *slog.Logger
}

// Open connects to the database that a URL (postgres://…, or key=value words)
// names and brings its schema up to date. Of several hosts it is the one that can
// be written to, unless the URL's target_session_attrs says otherwise. It fails when the server cannot be
// reached, and with ErrNewerSchema when a newer Lodge has used the database.
// Neither its errors nor those of calls hold the URL's password.
func Open(ctx context.Context, url string, opts Options) (*DB, error) {
	config, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	opts = opts.completed()
	config.MaxConns = int32(min(opts.MaxConns, math.MaxInt32))
	config.MaxConnLifetime = time.Hour
	config.MaxConnLifetimeJitter = 10 * time.Minute
	config.MaxConnIdleTime = 5 * time.Minute
	config.PingTimeout = 5 * time.Second
	conn := config.ConnConfig
	conn.ConnectTimeout = min(opts.Timeout, 10*time.Second)
	if conn.ValidateConnect == nil { // of several hosts, or behind an address that moves
		conn.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	milliseconds := strconv.FormatInt(max(opts.Timeout.Milliseconds(), 1), 10)
	for name, value := range map[string]string{
		"application_name":                    opts.Application,
		"statement_timeout":                   milliseconds,
		"lock_timeout":                        milliseconds,
		"idle_in_transaction_session_timeout": milliseconds,
		"timezone":                            "UTC",
		// Plans are kept as long as a connection and may have been made when the
		// tables were empty. Everything here is found by an index.
		"enable_seqscan": "off",
		"jit":            "off",
	} {
		conn.RuntimeParams[name] = value
	}
	config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
		// Stronger settings than "on", for standbys, are the operator's to choose.
		_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false)
			WHERE current_setting('synchronous_commit') IN ('off', 'local')`)
		return err
	}
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error { return renew(c, opts.Fresh) }
	if err := migrate(ctx, conn); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	db := &DB{pool: pool, config: conn.Copy(), fresh: opts.Fresh, timeout: opts.Timeout, out: opts.Logger}
	if err := db.check(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return db, nil
}

// CheckURL reports what is wrong with a URL, without its password.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

func parseURL(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("postgres: the database's URL: %w", err)
	}
	return config, nil
}

// renew puts the user and the password that count now into the settings of a
// connection that is about to be made.
func renew(c *pgx.ConnConfig, fresh func() (string, error)) error {
	if fresh == nil {
		return nil
	}
	url, err := fresh()
	if err != nil {
		return err
	}
	now, err := parseURL(url)
	if err != nil {
		return err
	}
	c.User, c.Password = now.ConnConfig.User, now.ConnConfig.Password
	return nil
}

func (o Options) completed() Options {
	if o.MaxConns <= 0 {
		o.MaxConns = 16
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Application == "" {
		o.Application = "lodge"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// check looks at what the server is like.
func (db *DB) check(ctx context.Context) error {
	var version int
	var sync, full string
	err := db.pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('fsync'),
		current_setting('full_page_writes')`).Scan(&version, &sync, &full)
	if err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	if version < 130000 {
		return fmt.Errorf("postgres: the server is of version %d; Lodge needs PostgreSQL 13 or newer", version/10000)
	}
	if sync != "on" || full != "on" {
		db.out.Warn("the database server may lose answered writes when its machine fails",
			slog.String("fsync", sync), slog.String("full_page_writes", full))
	}
	return nil
}

// Ping asks the server for an answer.
func (db *DB) Ping(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, db.timeout)
	defer stop()
	if err := db.pool.Ping(ctx); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return nil
}

// Close waits until all connections are given back and closes them. It may be
// repeated.
func (db *DB) Close() error {
	db.pool.Close()
	return nil
}

// Micros converts a time to the stored form: microseconds since 1970, with 0
// for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time converts the stored form back; 0 is the zero time.
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// found turns the error of a query for one row into whether there is one.
func found(err error) (bool, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
