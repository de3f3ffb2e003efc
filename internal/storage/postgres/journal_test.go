package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/internal/postgrestest"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

func TestJournal(t *testing.T) {
	sessionstest.Journal(t, func(t *testing.T) sessions.Journal { return NewJournal(open(t, fresh(t))) })
}

func revocation(name string) sessions.Revocation {
	return sessions.Revocation{
		Tenant: "t1", ID: sessionstest.IDOf(name), At: sessionstest.Base, Reason: "cancelled",
		MessagesUntil: sessionstest.Base.Add(time.Hour), End: sessionstest.Base.Add(2 * time.Hour),
	}
}

// Two nodes that record the same sessions, in different orders, at once.
func TestNodesRecordTheSameSessions(t *testing.T) {
	url := fresh(t)
	var wg sync.WaitGroup
	for node := range 4 {
		journal := NewJournal(open(t, url))
		wg.Go(func() {
			for range 5 {
				var rs []sessions.Revocation
				for i := range 50 {
					rs = append(rs, revocation(fmt.Sprint((i*7+node*13)%50)))
				}
				if err := journal.Record(t.Context(), rs...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if list, err := NewJournal(open(t, url)).Standing(t.Context(), "t1", sessionstest.Base); err != nil || len(list) != 50 {
		t.Errorf("%d stand, %v", len(list), err)
	}
}

func TestManyRevocationsAreCollected(t *testing.T) {
	journal := NewJournal(open(t, fresh(t)))
	var rs []sessions.Revocation
	for i := range 1234 {
		rs = append(rs, revocation(fmt.Sprint(i)))
	}
	if err := journal.Record(t.Context(), rs...); err != nil {
		t.Fatal(err)
	}
	if n, err := journal.Collect(t.Context(), sessionstest.Base.Add(3*time.Hour)); err != nil || n != len(rs) {
		t.Errorf("collected %d, %v; want %d", n, err, len(rs))
	}
}

// What was answered is there after the server died in the middle of recording.
func TestRevocationsSurviveTheServer(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{Sync: true})
	journal := NewJournal(open(t, server.Database(t)))
	answered := make(chan sessions.ID, 1024)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := revocation(fmt.Sprintf("%d-%d", w, i))
				if err := journal.Record(t.Context(), r); err != nil {
					return // killed
				}
				select {
				case answered <- r.ID:
				default: // enough to look for
				}
			}
		})
	}
	want := map[sessions.ID]bool{}
	for len(want) < 50 {
		want[<-answered] = true
	}
	server.Kill9()
	wg.Wait()
	close(answered)
	for id := range answered {
		want[id] = true
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	var list []sessions.Revocation
	eventually(t, func() (err error) {
		list, err = journal.Standing(context.Background(), "", sessionstest.Base)
		return err
	})
	for _, r := range list {
		delete(want, r.ID)
	}
	if len(want) > 0 {
		t.Errorf("%d revocations are gone that were answered", len(want))
	}
}
