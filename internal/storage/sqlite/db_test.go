package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB) *DB {
	t.Helper()
	db, err := Open(context.Background(), filepath.Join(t.TempDir(), "lodge.db"))
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

func put(name, value string) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO settings (name, value) VALUES (?, ?)`, name, []byte(value))
		return err
	}
}

func has(t *testing.T, db *DB, name string) bool {
	t.Helper()
	var value []byte
	err := db.View(context.Background(), func(tx *Tx) error {
		return tx.Get(`SELECT value FROM settings WHERE name = ?`, []any{name}, &value)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	return err == nil
}

func TestConcurrentUpdatesEachKeepOrLoseTheirOwn(t *testing.T) {
	db := open(t)
	refused := errors.New("refused")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := db.Update(context.Background(), func(tx *Tx) error {
				if err := put(fmt.Sprint("k", i), "v")(tx); err != nil {
					return err
				}
				if i%3 == 0 {
					return refused
				}
				return nil
			})
			if i%3 == 0 != errors.Is(err, refused) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range 200 {
		if got, want := has(t, db, fmt.Sprint("k", i)), i%3 != 0; got != want {
			t.Errorf("k%d stored: %v, want %v", i, got, want)
		}
	}
}

func TestUniqueViolationIsNamed(t *testing.T) {
	db := open(t)
	if err := db.Update(context.Background(), put("a", "1")); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(context.Background(), put("a", "2")); !IsUnique(err) {
		t.Fatalf("second insert: %v, want a unique violation", err)
	}
}

func TestUpdateGivenUpBeforeItStartsDoesNotRun(t *testing.T) {
	db := open(t)
	block, entered := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.Update(context.Background(), func(*Tx) error { close(entered); <-block; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	wg.Go(func() { result <- db.Update(ctx, put("late", "v")) })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatalf("given up: %v", err)
	}
	close(block)
	wg.Wait()
	if has(t, db, "late") {
		t.Fatal("an update that was given up ran all the same")
	}
}

func TestPanicReachesItsCallerAndNobodyElse(t *testing.T) {
	db := open(t)
	func() {
		defer func() {
			if p := recover(); p != "oops" {
				t.Errorf("recovered %v, want oops", p)
			}
		}()
		_ = db.Update(context.Background(), func(tx *Tx) error {
			if err := put("half", "v")(tx); err != nil {
				return err
			}
			panic("oops")
		})
	}()
	if has(t, db, "half") {
		t.Fatal("what panicked was kept")
	}
	if err := db.Update(context.Background(), put("next", "v")); err != nil {
		t.Fatal(err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	db := open(t)
	if _, err := Open(context.Background(), db.path); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v, want ErrLocked", err)
	}
}

// Views that meet statements for the first time must not wait for one another's
// connections.
func TestManyViewsMeetNewStatementsAtOnce(t *testing.T) {
	db := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			var n int
			err := db.View(ctx, func(tx *Tx) error {
				if err := tx.Get(fmt.Sprintf(`SELECT %d`, i%9), nil, &n); err != nil {
					return err
				}
				return tx.Get(fmt.Sprintf(`SELECT 1 + %d`, i), nil, &n)
			})
			if err != nil || n != i+1 {
				t.Errorf("view %d: %d, %v", i, n, err)
			}
		})
	}
	wg.Wait()
}

func TestClosedRefuses(t *testing.T) {
	db := open(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Update(context.Background(), put("a", "b")); !errors.Is(err, ErrClosed) {
		t.Fatalf("update: %v, want ErrClosed", err)
	}
}

func BenchmarkUpdate64(b *testing.B) {
	db := open(b)
	b.SetParallelism(32)
	var mu sync.Mutex
	n := 0
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			n++
			name := fmt.Sprint("k", n)
			mu.Unlock()
			if err := db.Update(context.Background(), put(name, "value")); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	db := open(t)
	if err := db.Update(context.Background(), put("a", "1")); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(db.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("lodge.db%s has mode %v", suffix, info.Mode().Perm())
		}
	}
}
