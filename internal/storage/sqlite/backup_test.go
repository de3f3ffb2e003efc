package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	driver "modernc.org/sqlite"

	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// backUp copies a database that is open, as the shell's .backup does, and returns
// the copy's path.
func backUp(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "lodge.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	err = conn.Raw(func(c any) error {
		b, err := c.(interface {
			NewBackup(to string) (*driver.Backup, error)
		}).NewBackup(to)
		if err != nil {
			return err
		}
		_, err = b.Step(-1)
		return errors.Join(err, b.Finish())
	})
	if err := errors.Join(err, conn.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	return to
}

// A backup put back has the revocations up to it.
func TestRel26_RestoredFileKeepsRevocations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lodge.db")
	db := openLog(t, path).db
	r := sessions.Revocation{
		Tenant: "t1", ID: sessionstest.IDOf("a"), At: sessionstest.Base, Reason: "cancelled",
		MessagesUntil: sessionstest.Base.Add(time.Hour), End: sessionstest.Base.Add(2 * time.Hour),
	}
	if err := NewJournal(db).Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := NewDenials(db).Deny(t.Context(), "t1", "a key", r.End, r.At); err != nil {
		t.Fatal(err)
	}
	copied := backUp(t, path)
	r.ID = sessionstest.IDOf("later")
	if err := NewJournal(db).Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	back := openLog(t, copied).db
	standing, err := NewJournal(back).Standing(t.Context(), "t1", sessionstest.Base)
	if err != nil || len(standing) != 1 || standing[0].ID != sessionstest.IDOf("a") {
		t.Errorf("%+v stand, %v", standing, err)
	}
	denied, err := NewDenials(back).Denied(t.Context(), "t1", sessionstest.Base, "a key", "another")
	if err != nil || !reflect.DeepEqual(denied, []relay.DenialKey{"a key"}) {
		t.Errorf("denied: %v, %v", denied, err)
	}
}

// Who has messages of after the backup is told so.
func TestRel26_RestoredFileGivesGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lodge.db")
	log := openLog(t, path)
	messagingtest.OlderBackup(t, log, func() func() messaging.Log {
		copied := backUp(t, path)
		return func() messaging.Log {
			closeLog(t, log)
			return openLog(t, copied)
		}
	})
}
