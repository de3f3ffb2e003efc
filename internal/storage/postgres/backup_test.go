package postgres

import (
	"reflect"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/messaging"
	"github.com/lodge-gateway/lodge/messaging/messagingtest"
	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// A dump put back has the revocations up to it.
func TestRel26_RestoredDumpKeepsRevocations(t *testing.T) {
	server := postgrestest.Shared(t)
	url := fresh(t)
	db := open(t, url)
	until := sessionstest.Base.Add(time.Hour)
	if err := NewJournal(db).Record(t.Context(), revocation("a"), revocation("b")); err != nil {
		t.Fatal(err)
	}
	if err := NewDenials(db).Deny(t.Context(), "t1", "a key", until, sessionstest.Base); err != nil {
		t.Fatal(err)
	}
	want, err := NewJournal(db).Standing(t.Context(), "t1", sessionstest.Base)
	if err != nil || len(want) != 2 {
		t.Fatal(want, err)
	}
	file := server.Dump(t, url)
	if err := NewJournal(db).Record(t.Context(), revocation("later")); err != nil {
		t.Fatal(err)
	}
	back := open(t, server.Restore(t, file))
	got, err := NewJournal(back).Standing(t.Context(), "t1", sessionstest.Base)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v stand, %v; want %+v", got, err, want)
	}
	denied, err := NewDenials(back).Denied(t.Context(), "t1", sessionstest.Base, "a key", "another")
	if err != nil || !reflect.DeepEqual(denied, []relay.DenialKey{"a key"}) {
		t.Errorf("denied: %v, %v", denied, err)
	}
}

// Who has messages of after the dump is told so.
func TestRel26_RestoredDumpGivesGaps(t *testing.T) {
	server := postgrestest.Shared(t)
	url := fresh(t)
	log := openLog(t, url)
	messagingtest.OlderBackup(t, log, func() func() messaging.Log {
		file := server.Dump(t, url)
		return func() messaging.Log {
			closeAll(t, log)
			return openLog(t, server.Restore(t, file))
		}
	})
}
