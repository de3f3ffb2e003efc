package sessionstest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/sessions"
)

// Journal is the part of Run for a back end that has a journal and no store. open
// returns an empty one and cleans up after the test.
func Journal(t *testing.T, open func(t *testing.T) sessions.Journal) {
	rev := func(name string) sessions.Revocation {
		return sessions.Revocation{
			Tenant: "t1", ID: IDOf(name), At: Base, Reason: "cancelled",
			MessagesUntil: Base.Add(time.Hour), End: Base.Add(2 * time.Hour),
		}
	}
	standing := func(t *testing.T, j sessions.Journal, at time.Time) []sessions.Revocation {
		t.Helper()
		list, err := j.Standing(t.Context(), "t1", at)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}

	t.Run("KeepsWhatWasRecorded", func(t *testing.T) {
		j, r := open(t), rev("a")
		other := rev("a")
		other.Tenant = "t2"
		if err := j.Record(t.Context(), r, other); err != nil {
			t.Fatal(err)
		}
		if list := standing(t, j, Base); len(list) != 1 || list[0] != r {
			t.Errorf("of t1: %+v", list)
		}
		if all, err := j.Standing(t.Context(), "", Base); err != nil || len(all) != 2 {
			t.Errorf("of all tenants: %+v, %v", all, err)
		}
	})

	t.Run("RecordedAgainNeverGivesARightBack", func(t *testing.T) {
		j, r := open(t), rev("a")
		again := r
		again.At, again.Reason = Base.Add(time.Minute), "again"
		again.MessagesUntil, again.End = Base.Add(24*time.Hour), Base.Add(24*time.Hour)
		if err := errors.Join(j.Record(t.Context(), r), j.Record(t.Context(), again)); err != nil {
			t.Fatal(err)
		}
		want := r
		want.End = again.End
		if list := standing(t, j, Base); len(list) != 1 || list[0] != want {
			t.Errorf("standing: %+v, want %+v", list, want)
		}
		again.MessagesUntil = Base
		if err := j.Record(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if list := standing(t, j, Base); len(list) != 1 || !list[0].MessagesUntil.Equal(Base) {
			t.Errorf("after the rest was taken: %+v", list)
		}
	})

	t.Run("EndsWithTheSession", func(t *testing.T) {
		j, r := open(t), rev("a")
		if err := j.Record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if list := standing(t, j, r.End.Add(time.Second)); len(list) != 0 {
			t.Errorf("after its end: %+v", list)
		}
		if n, err := j.Collect(t.Context(), r.End); err != nil || n != 0 {
			t.Errorf("collected at its end: %d, %v", n, err)
		}
		if n, err := j.Collect(t.Context(), r.End.Add(time.Second)); err != nil || n != 1 {
			t.Errorf("collected after its end: %d, %v", n, err)
		}
	})
}

func testSignals(t *testing.T, open func(t *testing.T) sessions.Signals) {
	t.Run("ReachEverySubscriber", func(t *testing.T) {
		sg := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		var heard [2]chan sessions.Signal
		for i := range heard {
			heard[i] = make(chan sessions.Signal, 8)
			wg.Go(func() {
				if err := sg.Subscribe(ctx, func(s sessions.Signal) { heard[i] <- s }); !errors.Is(err, context.Canceled) {
					t.Errorf("subscription ended with %v", err)
				}
			})
		}
		for i := range heard {
			if s := await(t, heard[i]); s.Tenant != "" {
				t.Errorf("first signal: %+v, want the one that says: look at everything", s)
			}
		}
		want := sessions.Signal{Tenant: "t1", IDs: []sessions.ID{IDOf("a"), IDOf("b")}, Change: sessions.Ended, Person: "p1"}
		if err := sg.Publish(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		for i := range heard {
			s := await(t, heard[i])
			if s.Tenant != want.Tenant || s.Change != want.Change || s.Person != want.Person || len(s.IDs) != 2 || s.IDs[0] != want.IDs[0] || s.IDs[1] != want.IDs[1] {
				t.Errorf("heard %+v, want %+v", s, want)
			}
		}
	})
}

// await receives from a channel under the tests' deadline.
func await[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("nothing heard for %s", limit)
		panic("unreachable")
	}
}
