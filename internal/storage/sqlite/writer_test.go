package sqlite

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
)

// What made an update fail may be what one before it in the same transaction did,
// which is not so until that transaction is on disk: no outcome is told before.
func TestNoOutcomeIsToldBeforeItIsDurable(t *testing.T) {
	pool, err := sql.Open("sqlite", dsn(filepath.Join(t.TempDir(), "lodge.db"), false))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	}()
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	taken := errors.New("taken")
	newJob := func(fn func(tx *Tx) error) *job { return &job{fn: fn, done: make(chan error, 1)} }
	first := newJob(func(*Tx) error { return nil })
	second := newJob(func(*Tx) error { return taken })
	third := newJob(func(*Tx) error {
		if len(first.done)+len(second.done) > 0 {
			t.Error("an outcome was told while the transaction was open")
		}
		return nil
	})
	w := &writer{conn: conn, stmts: map[string]*sql.Stmt{}}
	w.commit([]*job{first, second, third})
	w.close()
	for i, want := range []error{nil, taken, nil} {
		if got := <-[]*job{first, second, third}[i].done; !errors.Is(got, want) {
			t.Errorf("job %d: %v, want %v", i, got, want)
		}
	}
}
