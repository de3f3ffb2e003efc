package sessions_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// reading is a store that does something after each read of one session, before the
// reader has it.
type reading struct {
	sessions.Store
	then func()
}

func (r *reading) Get(ctx context.Context, tenant lodge.Tenant, ids []sessions.ID) (map[sessions.ID]sessions.Session, error) {
	found, err := r.Store.Get(ctx, tenant, ids)
	if then := r.then; then != nil {
		r.then = nil
		then()
	}
	return found, err
}

func TestGetWatchedIsNotToldWhatItRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		_, s := r.create(t, sessions.New{Kind: sessions.Login, Person: "p1"})
		if err := r.Refresh(t.Context(), "t1", "p1", []string{"g"}, nil); err != nil {
			t.Fatal(err)
		}
		defer r.run(t)()
		told := 0
		got, stop, err := r.GetWatched(t.Context(), "t1", s.ID, func(sessions.Session, error) { told++ })
		if err != nil || len(got.Groups) != 1 || got.Version == 1 {
			t.Fatalf("read %+v, %v", got, err)
		}
		defer stop()
		pass(time.Minute) // twelve polls
		if told != 0 {
			t.Fatalf("told %d times of what it had read", told)
		}
		got.RevokedAt, got.Version = sessionstest.Base, got.Version+1
		r.store.Put(got) // by a node whose hints do not reach this one
		pass(5 * time.Second)
		if told != 1 {
			t.Fatalf("one poll after a change: told %d times", told)
		}
	})
}

// What changes after it was read and before the reader has it is told, whether a hint
// or a poll brings it, before or after the reader has what it read.
func TestGetWatchedMissesNoChangeWhileItReads(t *testing.T) {
	for name, wait := range map[string]time.Duration{"poll before": 6 * time.Second, "poll after": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(sessions.Options{})
				_, s := r.create(t, sessions.New{})
				store := &reading{Store: r.store}
				m := sessions.NewManager(store, r.store.Journal(), sessions.NewLocalSignals(), r.clock, sessions.Options{})
				defer (&rig{m, r.store, r.clock}).run(t)()
				store.then = func() {
					s.RevokedAt, s.Version = sessionstest.Base, 2
					r.store.Put(s)
					pass(wait)
				}
				var told []sessions.Session
				got, stop, err := m.GetWatched(t.Context(), "t1", s.ID, func(s sessions.Session, _ error) { told = append(told, s) })
				if err != nil || got.Version != 1 {
					t.Fatalf("read %+v, %v, want it as it was", got, err)
				}
				defer stop()
				pass(time.Minute)
				if len(told) != 1 || told[0].RevokedAt.IsZero() {
					t.Fatalf("told %+v, want of the revocation once", told)
				}
			})
		})
	}
}

func TestGetWatchedThatFailsLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		defer r.run(t)()
		told := 0
		_, stop, err := r.GetWatched(t.Context(), "t1", sessionstest.Example("t1", "never made").ID, func(sessions.Session, error) { told++ })
		if lodge.CodeOf(err) != lodge.CodeNotFound || stop != nil {
			t.Fatalf("%v, stop is nil: %v", err, stop == nil)
		}
		pass(time.Minute)
		if told != 0 {
			t.Fatalf("told %d times", told)
		}
	})
}
