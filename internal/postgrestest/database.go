package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

var count atomic.Int64 // of databases made by this process

// URL returns how to reach a database on this server through addr, host:port,
// which is the server's own or that of something in front of it.
func URL(addr, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("lodge"), Host: addr, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

func (s *Server) url(database string) string { return URL(s.Addr(), database) }

// Database makes an empty database, and returns its URL; it goes with t.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.Clone(t, "template0")
}

// Clone makes a database that has what another one has, to which nobody may be
// connected, and returns its URL; it goes with t.
func (s *Server) Clone(t testing.TB, template string) string {
	t.Helper()
	name := fmt.Sprintf("test%d", count.Add(1))
	s.exec(t, "CREATE DATABASE "+name+" TEMPLATE "+template)
	t.Cleanup(func() {
		if s.cmd != nil {
			s.exec(t, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		}
	})
	return s.url(name)
}

// Template makes a database for Clone, filled by fill, and returns its name. It
// stays for as long as the server.
func (s *Server) Template(t testing.TB, fill func(url string)) string {
	t.Helper()
	name := fmt.Sprintf("template_%d", count.Add(1))
	s.exec(t, "CREATE DATABASE "+name+" TEMPLATE template0")
	fill(s.url(name))
	return name
}

// Disconnect ends the connections of all clients, as an administrator or a
// failover would, and returns how many there were.
func (s *Server) Disconnect(t testing.TB) int {
	t.Helper()
	var n int
	s.with(t, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&n)
	})
	return n
}

func (s *Server) exec(t testing.TB, statement string) {
	t.Helper()
	s.with(t, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement)
		return err
	})
}

func (s *Server) with(t testing.TB, do func(ctx context.Context, conn *pgx.Conn) error) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), limit) // clean-up outlives the test's context
	defer stop()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
	defer func() {
		if err := conn.Close(ctx); err != nil {
			t.Errorf("postgrestest: %v", err)
		}
	}()
	if err := do(ctx, conn); err != nil {
		t.Fatalf("postgrestest: %v", err)
	}
}
