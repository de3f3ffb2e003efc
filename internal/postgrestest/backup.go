package postgrestest

import (
	"os"
	"path/filepath"
	"testing"
)

// Dump makes a backup of a database of this server by pg_dump, as operators do, and
// returns its file.
func (s *Server) Dump(t testing.TB, url string) string {
	t.Helper()
	// Not t's directory, which the server's user may not enter.
	dir, err := os.MkdirTemp(s.dir, "dump-")
	if err != nil {
		t.Fatal("postgrestest: ", err)
	}
	if s.as != nil {
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal("postgrestest: ", err)
		}
	}
	file := filepath.Join(dir, "lodge.dump")
	if out, err := s.command("pg_dump", "--format=custom", "--file="+file, url).CombinedOutput(); err != nil {
		t.Fatalf("postgrestest: pg_dump: %v: %s", err, out)
	}
	return file
}

// Restore puts a backup into a database that is empty, and returns its URL.
func (s *Server) Restore(t testing.TB, file string) string {
	t.Helper()
	url := s.Database(t)
	if out, err := s.command("pg_restore", "--no-owner", "--exit-on-error", "--dbname="+url, file).CombinedOutput(); err != nil {
		t.Fatalf("postgrestest: pg_restore: %v: %s", err, out)
	}
	return url
}
