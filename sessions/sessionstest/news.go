package sessionstest

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/sessions"
)

// testNews has one node make, touch and end sessions, and hears at another what
// became of those that are somebody's.
func testNews(t *testing.T, open func(t *testing.T) Backend) {
	r := newRig(t, open, sessions.Options{})
	other := sessions.NewManager(r.Store, r.Journal, r.Signals, r.clock, sessions.Options{})
	heard := make(chan sessions.Signal, 10_000)
	stop := other.News(func(s sessions.Signal) { heard <- s })
	r.run(t, other)

	// News is not kept for who does not listen yet.
	first := func() (s sessions.Session, ok bool) {
		for until := time.Now().Add(limit); time.Now().Before(until); {
			_, s = r.make(t, sessions.Login)
			select {
			case sig := <-heard:
				if sig.Tenant != "t1" || sig.Change != sessions.Began || sig.Person != "p1" {
					t.Fatalf("heard %+v", sig)
				}
				return s, true
			case <-time.After(10 * time.Millisecond): // once more
			}
		}
		return s, false
	}
	s, ok := first()
	if !ok {
		t.Fatal("nothing heard")
	}
	if _, _, err := r.Create(t.Context(), sessions.New{Tenant: "t1", Kind: sessions.Host, Experiment: "pend00", ExpiresAt: Base.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	r.clock.Advance(2 * time.Minute)
	for _, err := range []error{
		r.Touch(t.Context(), s),
		r.Revoke(t.Context(), "t1", s.ID, "ended"),
		r.Revoke(t.Context(), "t1", s.ID, "ended again"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, last := r.make(t, sessions.Experiment)
	ended := 0
	for {
		sig := await(t, heard)
		if sig.Person != "p1" || len(sig.IDs) != 1 {
			t.Fatalf("heard %+v", sig)
		}
		if sig.Change == sessions.Ended {
			if ended++; sig.IDs[0] != s.ID {
				t.Errorf("heard of %s, want %s", sig.IDs[0], s.ID)
			}
		}
		if sig.IDs[0] == last.ID {
			break
		}
	}
	if ended != 1 {
		t.Errorf("heard of the end %d times", ended)
	}
	r.Announce(t.Context(), "t1", "p2")
	if sig := await(t, heard); sig.Tenant != "t1" || sig.Change != sessions.Entitled || sig.Person != "p2" || len(sig.IDs) != 0 {
		t.Errorf("heard %+v", sig)
	}
	stop()
	if len(heard) != 0 {
		t.Errorf("and then %+v", <-heard)
	}
}
