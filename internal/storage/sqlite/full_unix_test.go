//go:build unix

package sqlite

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// fillDisk lets no file of this process grow beyond a size, until the test or
// whoever calls what is returned ends that. To a program a full disk is the same:
// a write that fails half-way.
func fillDisk(t *testing.T, size uint64) (free func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // the write is to fail, not the process
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	limit := was
	limit.Cur = size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	free = func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { free(); signal.Reset(syscall.SIGXFSZ) })
	return free
}

// With the disk full nothing is acknowledged: no session is made and no
// revocation answered. What was acknowledged is there, before and after a
// restart, and with room again everything works, without one.
func TestRel18_FullDiskAcknowledgesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lodge.db")
	db, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	m := sessions.NewManager(NewSessions(db), NewJournal(db), sessions.NewLocalSignals(), sessionstest.NewClock(), sessions.Options{})
	create := func(person string) (sessions.Session, error) {
		_, s, err := m.Create(t.Context(), sessions.New{
			Tenant: "t1", Kind: sessions.Login, Person: lodge.PersonID(person), Device: fmt.Sprintf("%0200d", 0), ExpiresAt: sessionstest.Base.Add(time.Hour),
		})
		return s, err
	}
	var made []sessions.Session
	for i := range 64 {
		s, err := create(fmt.Sprint("before-", i))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, s)
	}
	wal, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	free := fillDisk(t, uint64(wal.Size())+64<<10)
	acknowledged := 0
	for {
		s, err := create("meanwhile")
		if lodge.CodeOf(err) == lodge.CodeUnavailable {
			break
		}
		if err != nil || acknowledged > 10_000 {
			t.Fatalf("after %d sessions: %v, want that it is unavailable", acknowledged, err)
		}
		made, acknowledged = append(made, s), acknowledged+1
	}
	revoked := 0 // which writes less, so there may be room for some
	for {
		err := m.Revoke(t.Context(), "t1", made[revoked].ID, "ended by root")
		if lodge.CodeOf(err) == lodge.CodeUnavailable {
			break
		}
		if revoked++; err != nil || revoked > 50 {
			t.Fatalf("revocation %d was answered with %v, want that it is unavailable", revoked, err)
		}
	}
	after := func(revoked int) func(i int) sessions.State {
		return func(i int) sessions.State {
			if i < revoked {
				return sessions.Revoked
			}
			return sessions.Active
		}
	}
	are := func(db *DB, want func(i int) sessions.State) {
		t.Helper()
		list, err := NewSessions(db).List(t.Context(), "t1", sessions.Filter{})
		if err != nil || len(list) != len(made) {
			t.Fatalf("%d sessions are there, %v; %d were acknowledged", len(list), err, len(made))
		}
		for i, s := range made {
			got, err := NewSessions(db).Get(t.Context(), "t1", []sessions.ID{s.ID})
			if state := got[s.ID]; err != nil || state.State(sessionstest.Base) != want(i) {
				t.Errorf("session %d is %s, %v; want %s", i, state.State(sessionstest.Base), err, want(i))
			}
		}
	}
	are(db, after(revoked))

	free()
	for _, s := range made[revoked : revoked+3] {
		if err := m.Revoke(t.Context(), "t1", s.ID, "ended by root"); err != nil {
			t.Errorf("with room again: %v", err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	are(again, after(revoked+3))
	if standing, err := NewJournal(again).Standing(t.Context(), "t1", sessionstest.Base); err != nil || len(standing) != revoked+3 {
		t.Errorf("the journal has %d revocations, %v; want %d", len(standing), err, revoked+3)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
