package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

func TestSessions(t *testing.T) {
	sessionstest.Run(t, func(t *testing.T) sessionstest.Backend {
		db := open(t)
		return sessionstest.Backend{Store: NewSessions(db), Journal: NewJournal(db)}
	})
}

func TestSessionsSurviveAReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lodge.db")
	want := sessionstest.Example("t1", "a")
	for range 2 {
		db, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		st := NewSessions(db)
		if err := st.Create(t.Context(), want); err != nil && !errors.Is(err, sessions.ErrExists) {
			t.Fatal(err)
		}
		found, err := st.Get(t.Context(), "t1", []sessions.ID{want.ID})
		if err != nil || len(found) != 1 {
			t.Fatalf("found %v, %v", found, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := st.Ping(t.Context()); err == nil {
			t.Error("a closed database answers")
		}
	}
}

func TestSec40_RecordInTheWrongPlaceIsNoticed(t *testing.T) {
	db := open(t)
	st := NewSessions(db)
	a, b := sessionstest.Example("t1", "a"), sessionstest.Example("t1", "b")
	for _, s := range []sessions.Session{a, b} {
		if err := st.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	err := db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`UPDATE sessions SET record = (SELECT record FROM sessions WHERE id = ?) WHERE id = ?`, string(b.ID), string(a.ID))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := st.Get(t.Context(), "t1", []sessions.ID{a.ID}); !errors.Is(err, sessions.ErrRecord) {
		t.Fatalf("found %v, %v; want ErrRecord", found, err)
	}
}

func TestSec2_DatabaseHoldsNoCode(t *testing.T) {
	db := open(t)
	m := sessions.NewManager(NewSessions(db), NewJournal(db), sessions.NewLocalSignals(), sessionstest.NewClock(), sessions.Options{})
	code, s, err := m.Create(t.Context(), sessions.New{Tenant: "t1", Kind: sessions.Service, ExpiresAt: sessionstest.Base.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Revoke(t.Context(), "t1", s.ID, "ended"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(db.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	held := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(strings.TrimPrefix(code, "lodge_svc_"))) {
			t.Errorf("the code is in %s", filepath.Base(file))
		}
		held = held || bytes.Contains(content, []byte(s.ID))
	}
	if !held {
		t.Error("the session is in none of the files: the test looks in the wrong place")
	}
}
