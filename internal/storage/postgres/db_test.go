package postgres

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(postgrestest.Main(m)) }

// quick is for tests: a server that is away is given up soon, and the warning
// about a server that is not synced is not said.
func quick() Options {
	return Options{MaxConns: 8, Timeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler)}
}

// open opens a database that lasts as long as the test.
func open(t testing.TB, url string) *DB {
	t.Helper()
	db, err := Open(context.Background(), url, quick())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// migrated is the name of a database, on the shared server, to clone: one that
// was opened once.
var migrated struct {
	sync.Mutex
	name string
}

// fresh returns the URL of an empty database on the shared server.
func fresh(t testing.TB) string {
	t.Helper()
	server := postgrestest.Shared(t)
	migrated.Lock()
	defer migrated.Unlock()
	if migrated.name == "" {
		migrated.name = server.Template(t, func(url string) {
			db, err := Open(context.Background(), url, quick())
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
	return server.Clone(t, migrated.name)
}

// eventually calls fn until it returns nil, under a deadline.
func eventually(t *testing.T, fn func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %v", err)
		case <-tick.C:
		}
	}
}

func TestNodesStartAtOnce(t *testing.T) {
	url := postgrestest.Shared(t).Database(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			db, err := Open(t.Context(), url, quick())
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = db.Close() }()
			if err := db.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestNewerSchemaIsRefused(t *testing.T) {
	url := fresh(t)
	db := open(t, url)
	if _, err := db.pool.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999999, true)`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), url, quick()); !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "999999") {
		t.Fatalf("opened with %v, want ErrNewerSchema that says which", err)
	}
}

func TestNoErrorHoldsThePassword(t *testing.T) {
	server := postgrestest.Shared(t)
	for _, url := range []string{
		"postgres://lodge:hush@" + server.Addr() + "/nowhere",
		"postgres://lodge:hush@127.0.0.1:1/nowhere",
		"postgres://lodge:hush@127.0.0.1:port/nowhere",
		"postgres://lodge:hush@h/%zz",
		"host=127.0.0.1 port=1 password=hush sslmode=never",
		"hush://lodge:hush@h",
	} {
		db, err := Open(t.Context(), url, quick())
		if err == nil {
			_ = db.Close()
			t.Fatalf("%q was opened", url)
		}
		if strings.Contains(strings.ReplaceAll(err.Error(), "hush://", ""), "hush") {
			t.Errorf("the error for %q repeats its password: %v", url, err)
		}
	}
}

func TestSessionsOfTheDatabaseAreBounded(t *testing.T) {
	db := open(t, fresh(t))
	for name, want := range map[string]string{
		"application_name": "lodge", "statement_timeout": "5s", "lock_timeout": "5s",
		"idle_in_transaction_session_timeout": "5s", "synchronous_commit": "on", "jit": "off",
	} {
		var got string
		if err := db.pool.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
}

// A server that does not wait for the disk by default does for us.
func TestCommitsWaitForTheDisk(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{Settings: []string{"synchronous_commit=off"}})
	db := open(t, server.Database(t))
	var got string
	if err := db.pool.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&got); err != nil || got != "on" {
		t.Fatalf("synchronous_commit is %q, %v", got, err)
	}
}

func TestUnsafeServerIsNamed(t *testing.T) {
	var said strings.Builder
	opts := quick()
	opts.Logger = slog.New(slog.NewTextHandler(&said, nil))
	db, err := Open(t.Context(), fresh(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if !strings.Contains(said.String(), "fsync=off") {
		t.Errorf("the log says %q", said.String())
	}
}

// Concurrent read-modify-write of one row: a transaction that met another runs
// again, so that none is lost.
func TestUpdateRunsAgainWhenItMetAnother(t *testing.T) {
	db := open(t, fresh(t))
	if _, err := db.pool.Exec(t.Context(), `CREATE TABLE counter (id bigint PRIMARY KEY, n bigint NOT NULL); INSERT INTO counter VALUES (1, 0)`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				add := func(ctx context.Context, tx pgx.Tx) error {
					var n int
					if err := tx.QueryRow(ctx, `SELECT n FROM counter WHERE id = 1`).Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, `UPDATE counter SET n = $1 WHERE id = 1`, n+1)
					return err
				}
				for {
					err := db.Update(t.Context(), add)
					if err == nil {
						break
					}
					if !passing(err) { // tries are bounded; here somebody wins each time
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	var n int
	err := db.View(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT n FROM counter WHERE id = 1`).Scan(&n)
	})
	if err != nil || n != 20 {
		t.Fatalf("counted %d, %v; want 20", n, err)
	}
}

func TestUpdateUndoesWhatFails(t *testing.T) {
	db := open(t, fresh(t))
	refused := errors.New("refused")
	err := db.Update(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO log_garbage VALUES (1, 1)`); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatalf("%v, want the function's error", err)
	}
	err = db.View(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM log_garbage`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows, %v", n, err)
		}
		_, err := tx.Exec(ctx, `INSERT INTO log_garbage VALUES (1, 1)`)
		return err
	})
	if err == nil {
		t.Error("a view has written")
	}
}

func TestConnectionsThatWereEndedAreMadeAnew(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	db := open(t, server.Database(t))
	view := func(ctx context.Context, tx pgx.Tx) error {
		var one int
		return tx.QueryRow(ctx, `SELECT 1`).Scan(&one)
	}
	for range 3 {
		if err := db.View(t.Context(), view); err != nil {
			t.Fatal(err)
		}
		if n := server.Disconnect(t); n == 0 {
			t.Fatal("nobody was connected")
		}
	}
}

func TestSilentServerIsGivenUp(t *testing.T) {
	server := postgrestest.Shared(t)
	proxy := faultproxy.Start(t, server.Addr())
	config, err := pgxpool.ParseConfig(fresh(t))
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, postgrestest.URL(proxy.Addr(), config.ConnConfig.Database))
	db.timeout = 200 * time.Millisecond
	proxy.Hang()
	began := time.Now()
	if err := db.Ping(t.Context()); err == nil {
		t.Error("a silent server answered")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it was given up after %v", took)
	}
	proxy.Pass()
	eventually(t, func() error { return db.Ping(t.Context()) })
}
