package sessions_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// deaf are Signals that carry nothing.
type deaf struct{}

func (deaf) Publish(context.Context, sessions.Signal) error { return nil }
func (deaf) Subscribe(ctx context.Context, fn func(sessions.Signal)) error {
	fn(sessions.Signal{})
	<-ctx.Done()
	return ctx.Err()
}

// node returns another manager on the rig's store.
func (r *rig) node(signals sessions.Signals, keep time.Duration) *rig {
	return &rig{sessions.NewManager(r.store, r.store.Journal(), signals, r.clock, sessions.Options{Keep: keep, Logger: slog.New(slog.DiscardHandler)}), r.store, r.clock}
}

func TestCheckRecentReadsOnceAndSeesEnds(t *testing.T) {
	r := newRig(sessions.Options{Keep: time.Second})
	code, s := r.create(t, sessions.New{})
	before, _ := r.store.Calls()
	for range 10 {
		if got, err := r.CheckRecent(t.Context(), "t1", code); err != nil || got.ID != s.ID {
			t.Fatalf("got %v, %v", got.ID, err)
		}
	}
	if after, _ := r.store.Calls(); after != before+1 {
		t.Errorf("ten checks read the store %d times", after-before)
	}
	r.clock.Advance(time.Hour)
	if _, err := r.CheckRecent(t.Context(), "t1", code); !errors.Is(err, sessions.ErrExpired) {
		t.Errorf("after its end: %v", err)
	}
}

func TestCheckRecentKeepsNothingUnlessAsked(t *testing.T) {
	r := newRig(sessions.Options{})
	code, _ := r.create(t, sessions.New{})
	before, _ := r.store.Calls()
	for range 3 {
		if _, err := r.CheckRecent(t.Context(), "t1", code); err != nil {
			t.Fatal(err)
		}
	}
	if after, _ := r.store.Calls(); after != before+3 {
		t.Errorf("three checks read the store %d times", after-before)
	}
}

// TestSec39_RecentCheckIsOfItsTenantAndKind: what was kept for one tenant, or for
// a code of one kind, answers for no other.
func TestSec39_RecentCheckIsOfItsTenantAndKind(t *testing.T) {
	r := newRig(sessions.Options{Keep: time.Second})
	code, _ := r.create(t, sessions.New{})
	if _, err := r.CheckRecent(t.Context(), "t1", code); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CheckRecent(t.Context(), "t2", code); !errors.Is(err, sessions.ErrUnknown) {
		t.Errorf("another tenant: %v", err)
	}
	if _, err := r.CheckRecent(t.Context(), "t1", "lodge_log_"+code[len("lodge_exp_"):]); !errors.Is(err, sessions.ErrUnknown) {
		t.Errorf("another kind: %v", err)
	}
}

func TestRevocationIsSeenByRecentChecks(t *testing.T) {
	for name, test := range map[string]struct {
		signals func() sessions.Signals // of both nodes
		wait    time.Duration           // until the other node must know
	}{
		"by a hint":          {func() sessions.Signals { return sessions.NewLocalSignals() }, 0},
		"though it was lost": {func() sessions.Signals { return deaf{} }, sessions.MaxKeep},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signals := test.signals()
				base := newRig(sessions.Options{})
				here, there := base.node(signals, time.Hour), base.node(signals, time.Hour) // an hour is cut to MaxKeep
				defer here.run(t)()
				defer there.run(t)()
				code, s := here.create(t, sessions.New{ExpiresAt: sessionstest.Base.Add(time.Hour)})
				for _, node := range []*rig{here, there} {
					if _, err := node.CheckRecent(t.Context(), "t1", code); err != nil {
						t.Fatal(err)
					}
				}
				if err := here.Revoke(t.Context(), "t1", s.ID, "ended"); err != nil {
					t.Fatal(err)
				}
				if _, err := here.CheckRecent(t.Context(), "t1", code); !errors.Is(err, sessions.ErrRevoked) {
					t.Errorf("where it was revoked: %v", err)
				}
				pass(test.wait)
				if _, err := there.CheckRecent(t.Context(), "t1", code); !errors.Is(err, sessions.ErrRevoked) {
					t.Errorf("at the other node after %s: %v", test.wait, err)
				}
			})
		})
	}
}

// slow is a store whose reads are answered late, with what they found at once.
type slow struct {
	sessions.Store
	reading, answer chan struct{}
}

func (st slow) Get(ctx context.Context, tenant lodge.Tenant, ids []sessions.ID) (map[sessions.ID]sessions.Session, error) {
	found, err := st.Store.Get(ctx, tenant, ids)
	st.reading <- struct{}{}
	<-st.answer
	return found, err
}

// TestReadUnderWayIsNotKeptOverAChange: a check that read just before a revocation
// answers as it read, but leaves nothing for the next.
func TestReadUnderWayIsNotKeptOverAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := newRig(sessions.Options{})
		signals := sessions.NewLocalSignals()
		here := base.node(signals, time.Second)
		st := slow{base.store, make(chan struct{}), make(chan struct{})}
		there := sessions.NewManager(st, base.store.Journal(), signals, base.clock, sessions.Options{Keep: time.Second, LeasePoll: time.Hour, Logger: slog.New(slog.DiscardHandler)})
		stop := (&rig{there, base.store, base.clock}).run(t)
		defer stop()
		code, s := here.create(t, sessions.New{})
		checked := make(chan error, 2)
		check := func() { _, err := there.CheckRecent(t.Context(), "t1", code); checked <- err }
		go check()
		<-st.reading
		if err := here.Revoke(t.Context(), "t1", s.ID, "ended"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the hint has come
		st.answer <- struct{}{}
		if err := <-checked; err != nil {
			t.Errorf("the check that began before: %v", err)
		}
		go check()
		<-st.reading
		st.answer <- struct{}{}
		if err := <-checked; !errors.Is(err, sessions.ErrRevoked) {
			t.Errorf("the next check: %v", err)
		}
	})
}
