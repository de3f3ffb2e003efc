package sessions_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

func TestStatesOfALife(t *testing.T) {
	r := newRig(sessions.Options{})
	base := sessionstest.Base
	code, _ := r.create(t, sessions.New{NotBefore: base.Add(time.Minute), MessagesUntil: base.Add(2 * time.Hour), IdleAfter: 10 * time.Minute})
	for _, step := range []struct {
		at   time.Duration
		want error
	}{
		{0, sessions.ErrPending}, {time.Minute, nil}, {59 * time.Minute, nil}, {time.Hour, sessions.ErrExpired},
	} {
		r.clock.Advance(base.Add(step.at).Sub(r.clock.Now()))
		s, err := r.Check(t.Context(), "t1", code)
		if !errors.Is(err, step.want) || step.want != nil && lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Errorf("at %s: %v, want %v", step.at, err, step.want)
		}
		if s.ID == "" || !s.Messages(r.clock.Now()) {
			t.Errorf("at %s the session is not told: %+v", step.at, s)
		}
	}
}

func TestImpossibleSessionsAreRefused(t *testing.T) {
	r := newRig(sessions.Options{})
	end := sessionstest.Base.Add(time.Hour)
	for what, n := range map[string]sessions.New{
		"no tenant":             {Kind: sessions.Service, ExpiresAt: end},
		"no kind":               {Tenant: "t1", ExpiresAt: end},
		"a kind that is none":   {Tenant: "t1", Kind: "visit!", ExpiresAt: end},
		"a login of nobody":     {Tenant: "t1", Kind: sessions.Login, ExpiresAt: end},
		"a booking of none":     {Tenant: "t1", Kind: sessions.Booking, ExpiresAt: end},
		"a host of nothing":     {Tenant: "t1", Kind: sessions.Host, ExpiresAt: end},
		"no end":                {Tenant: "t1", Kind: sessions.Service},
		"an end that is passed": {Tenant: "t1", Kind: sessions.Service, ExpiresAt: sessionstest.Base},
	} {
		if code, _, err := r.Create(t.Context(), n); err == nil || code != "" {
			t.Errorf("%s: made, %v", what, err)
		}
	}
}

func TestUnreachableStoreIs503(t *testing.T) {
	r := newRig(sessions.Options{})
	code, s := r.create(t, sessions.New{})
	r.store.Break(errors.New("connection refused"))
	ctx := t.Context()
	_, checked := r.Check(ctx, "t1", code)
	_, got := r.Get(ctx, "t1", s.ID)
	_, listed := r.List(ctx, "t1", sessions.Filter{})
	_, _, created := r.Create(ctx, sessions.New{Tenant: "t1", Kind: sessions.Service, ExpiresAt: sessionstest.Base.Add(time.Hour)})
	for what, err := range map[string]error{
		"check": checked, "get": got, "list": listed, "create": created,
		"revoke": r.Revoke(ctx, "t1", s.ID, "x"), "cancel": r.Cancel(ctx, "t1", "b1", "x", time.Time{}), "ping": r.Ping(ctx),
	} {
		if lodge.CodeOf(err) != lodge.CodeUnavailable {
			t.Errorf("%s: %v, want 503", what, err)
		}
	}
}

func TestTouchWritesAtMostOnceAMinute(t *testing.T) {
	r := newRig(sessions.Options{})
	code, s := r.create(t, sessions.New{IdleAfter: 30 * time.Minute})
	_, before := r.store.Calls()
	touch := func() {
		var wg sync.WaitGroup
		for range 20 { // with what each request read, however old
			wg.Go(func() {
				if err := r.Touch(t.Context(), s); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	touch()
	r.clock.Advance(59 * time.Second)
	touch()
	if _, after := r.store.Calls(); after != before {
		t.Errorf("%d writes within the first minute", after-before)
	}
	r.clock.Advance(29 * time.Minute)
	touch()
	if _, after := r.store.Calls(); after != before+1 {
		t.Errorf("%d writes, want 1", after-before)
	}
	now, err := r.Check(t.Context(), "t1", code)
	if err != nil || !now.SeenAt.Equal(r.clock.Now()) || now.Idle(r.clock.Now()) {
		t.Errorf("after the touch: %+v, %v", now, err)
	}
	// Idle is no state, and no activity of a session that is over counts.
	r.clock.Advance(31 * time.Minute)
	touch()
	if s, _ := r.Get(t.Context(), "t1", s.ID); !s.SeenAt.Equal(now.SeenAt) || !s.Idle(r.clock.Now()) {
		t.Errorf("an ended session was touched: %+v", s)
	}
}

func TestRefreshReachesLoginsOnly(t *testing.T) {
	r := newRig(sessions.Options{})
	_, login := r.create(t, sessions.New{Kind: sessions.Login, Person: "p1", Groups: []string{"old"}})
	_, exp := r.create(t, sessions.New{Groups: []string{"old"}})
	bindings := []lodge.Binding{{Role: lodge.RoleInstructor, Scope: lodge.ScopeTenant}}
	for range 2 {
		if err := r.Refresh(t.Context(), "t1", "p1", []string{"new"}, bindings); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Get(t.Context(), "t1", login.ID)
	if err != nil || len(got.Groups) != 1 || got.Groups[0] != "new" || len(got.Bindings) != 1 || got.Version != 2 {
		t.Errorf("login: %+v, %v", got, err)
	}
	if got, err := r.Get(t.Context(), "t1", exp.ID); err != nil || got.Groups[0] != "old" {
		t.Errorf("experiment: %+v, %v", got, err)
	}
}

func TestBookingSessionKeepsStepWithItsMessages(t *testing.T) {
	r := newRig(sessions.Options{})
	until := sessionstest.Base.Add(24 * time.Hour)
	_, s := r.create(t, sessions.New{Kind: sessions.Booking, ExpiresAt: until})
	later := until.Add(5 * time.Minute)
	if err := r.Extend(t.Context(), "t1", "b1", sessionstest.Base.Add(2*time.Hour), later); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Get(t.Context(), "t1", s.ID); err != nil || !got.ExpiresAt.Equal(later) || !got.MessagesUntil.Equal(later) {
		t.Errorf("extended: %+v, %v", got, err)
	}
}

func TestSec10_EndingAPersonTakesTheMessagesOfACancelledBooking(t *testing.T) {
	r := newRig(sessions.Options{})
	code, _ := r.create(t, sessions.New{MessagesUntil: sessionstest.Base.Add(24 * time.Hour)})
	if err := r.Cancel(t.Context(), "t1", "b1", "cancelled", time.Time{}); err != nil {
		t.Fatal(err)
	}
	r.clock.Advance(time.Minute)
	if n, err := r.RevokePerson(t.Context(), "t1", "p1", "account disabled"); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	s, err := r.Check(t.Context(), "t1", code)
	if !errors.Is(err, sessions.ErrRevoked) || s.Messages(r.clock.Now()) || s.Reason != "cancelled" || !s.RevokedAt.Equal(sessionstest.Base) {
		t.Errorf("%+v, %v", s, err)
	}
}

// failingJournal cannot write.
type failingJournal struct{ sessions.Journal }

func (failingJournal) Record(context.Context, ...sessions.Revocation) error {
	return errors.New("disk full")
}

func TestRevocationIsDurableBeforeItIsAnswered(t *testing.T) {
	store := sessionstest.NewMemory()
	r := &rig{
		sessions.NewManager(store, failingJournal{store.Journal()}, sessions.NewLocalSignals(), sessionstest.NewClock(), sessions.Options{}),
		store, sessionstest.NewClock(),
	}
	code, s := r.create(t, sessions.New{})
	if err := r.Revoke(t.Context(), "t1", s.ID, "ended"); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Fatalf("revoked without a journal: %v", err)
	}
	if _, err := r.Check(t.Context(), "t1", code); err != nil {
		t.Errorf("what was not made durable took effect: %v", err)
	}
}
