package sessionstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/sessions"
)

// rig is a Manager on a back end, running.
type rig struct {
	*sessions.Manager
	Backend
	clock *Clock
}

// newRig completes a back end with a journal and signals in memory where it has
// none, and runs a Manager on it until the test ends.
func newRig(t *testing.T, open func(t *testing.T) Backend, opts sessions.Options) *rig {
	b := open(t)
	if b.Journal == nil {
		b.Journal = NewMemory().Journal()
	}
	if b.Signals == nil {
		b.Signals = sessions.NewLocalSignals()
	}
	clock := NewClock()
	r := &rig{sessions.NewManager(b.Store, b.Journal, b.Signals, clock, opts), b, clock}
	r.run(t, r.Manager)
	return r
}

// run runs a manager until the test ends.
func (r *rig) run(t *testing.T, m *sessions.Manager) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// make creates a session of booking b1 of person p1 that lasts an hour, with
// messages for a day.
func (r *rig) make(t *testing.T, kind sessions.Kind) (code string, s sessions.Session) {
	t.Helper()
	n := sessions.New{
		Tenant: "t1", Kind: kind, Person: "p1", Booking: "b1", Experiment: "pend00",
		ExpiresAt: Base.Add(time.Hour), MessagesUntil: Base.Add(24 * time.Hour),
	}
	if kind == sessions.Login {
		n.Booking, n.Experiment, n.MessagesUntil = "", "", time.Time{}
	}
	code, s, err := r.Create(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return code, s
}

func (r *rig) is(t *testing.T, code string, want error) sessions.Session {
	t.Helper()
	s, err := r.Check(t.Context(), "t1", code)
	if !errors.Is(err, want) {
		t.Fatalf("check: %v, want %v", err, want)
	}
	return s
}

func testManager(t *testing.T, open func(t *testing.T) Backend) {
	t.Run("CancelLeavesMessages", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{})
		exp, _ := r.make(t, sessions.Experiment)
		bkg, _ := r.make(t, sessions.Booking)
		until := Base.Add(48 * time.Hour)
		for range 2 { // the second is a retry
			if err := r.Cancel(t.Context(), "t1", "b1", "cancelled by Grace", until); err != nil {
				t.Fatal(err)
			}
		}
		s := r.is(t, exp, sessions.ErrRevoked)
		if s.Reason != "cancelled by Grace" || !s.Messages(until.Add(-time.Second)) || s.Messages(until) {
			t.Errorf("cancelled: %s", say(s))
		}
		r.is(t, bkg, nil)
		if err := r.Extend(t.Context(), "t1", "b1", until, until); err != nil {
			t.Fatal(err)
		}
		r.is(t, exp, sessions.ErrRevoked)
	})

	t.Run("ExtendMovesTheEndForwardOnly", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{})
		code, _ := r.make(t, sessions.Experiment)
		for _, by := range []time.Duration{2 * time.Hour, 90 * time.Minute} { // an older effect may come late
			if err := r.Extend(t.Context(), "t1", "b1", Base.Add(by), Base.Add(24*time.Hour+by)); err != nil {
				t.Fatal(err)
			}
		}
		r.clock.Advance(2*time.Hour - time.Second)
		r.is(t, code, nil)
		r.clock.Advance(time.Second)
		if s := r.is(t, code, sessions.ErrExpired); !s.Messages(r.clock.Now()) {
			t.Error("an ended session lost its messages")
		}
	})

	t.Run("Sec8_EndingAPersonSparesHosts", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{})
		login, _ := r.make(t, sessions.Login)
		_, this := r.make(t, sessions.Login)
		exp, _ := r.make(t, sessions.Experiment)
		host, _ := r.make(t, sessions.Host)
		n, err := r.RevokePerson(t.Context(), "t1", "p1", "signed out everywhere", this.ID)
		if err != nil || n != 2 {
			t.Fatalf("ended %d, %v; want 2", n, err)
		}
		for _, code := range []string{login, exp} {
			if s := r.is(t, code, sessions.ErrRevoked); s.Messages(Base) {
				t.Error("messages outlive the person's end")
			}
		}
		r.is(t, host, nil)
		if s, err := r.Get(t.Context(), "t1", this.ID); err != nil || s.State(Base) != sessions.Active {
			t.Errorf("the excepted one: %s, %v", say(s), err)
		}
		if err := r.Cancel(t.Context(), "t1", "b1", "cancelled", time.Time{}); err != nil {
			t.Fatal(err)
		}
		r.is(t, host, nil)
	})

	t.Run("Sec8_EndingEverythingSparesHosts", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{})
		host, _ := r.make(t, sessions.Host)
		codes := []string{}
		for _, kind := range []sessions.Kind{sessions.Login, sessions.Booking, sessions.Experiment, sessions.Service} {
			code, _ := r.make(t, kind)
			codes = append(codes, code)
		}
		for _, want := range []int{len(codes), 0} { // the second finds nothing left to do
			if n, err := r.RevokeAll(t.Context(), "t1", "an incident"); n != want || err != nil {
				t.Errorf("ended %d, %v; want %d", n, err, want)
			}
		}
		for _, code := range codes {
			if s := r.is(t, code, sessions.ErrRevoked); s.Messages(r.clock.Now()) {
				t.Errorf("the %s session kept its messages", s.Kind)
			}
		}
		r.is(t, host, nil)
	})

	t.Run("Sec7_CappedLoginIsJournalledAndTold", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{LoginCap: 2})
		first, old := r.make(t, sessions.Login)
		told := make(chan struct{}, 1)
		stop := r.Watch("t1", old.ID, func(s sessions.Session, _ error) {
			if !s.RevokedAt.IsZero() {
				select {
				case told <- struct{}{}:
				default:
				}
			}
		})
		defer stop()
		host, _ := r.make(t, sessions.Host)
		exp, _ := r.make(t, sessions.Experiment)
		for range 2 {
			r.clock.Advance(time.Minute)
			r.make(t, sessions.Login)
		}
		r.is(t, first, sessions.ErrRevoked)
		r.is(t, host, nil)
		r.is(t, exp, nil)
		select {
		case <-told:
		case <-time.After(limit):
			t.Error("the watch of the one that had to go was not told")
		}
		standing, err := r.Journal.Standing(t.Context(), "t1", r.clock.Now())
		if err != nil || len(standing) != 1 || standing[0].ID != old.ID {
			t.Errorf("the journal has %v, %v", standing, err)
		}
	})

	t.Run("NothingAUserDoesTouchesHosts", func(t *testing.T) { testHostsAreSpared(t, open) })
	t.Run("Place", func(t *testing.T) { testPlace(t, open) })

	t.Run("Sec6_RevocationReachesWatchesOnEveryNode", func(t *testing.T) {
		// The poll is out of reach: what arrives was pushed.
		opts := sessions.Options{LeasePoll: time.Hour, LeaseGrace: 3 * time.Hour}
		r := newRig(t, open, opts)
		other := sessions.NewManager(r.Store, r.Journal, r.Signals, r.clock, opts)
		r.run(t, other)
		for i, m := range []*sessions.Manager{r.Manager, other} {
			_, s := r.make(t, sessions.Experiment)
			watchRevocation(t, r, m, s, fmt.Sprint("node ", i))
		}
	})

	t.Run("Sec6_RevocationReachesWatchesWithPushLost", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{LeasePoll: 20 * time.Millisecond, LeaseGrace: time.Hour})
		deaf := sessions.NewManager(r.Store, r.Journal, sessions.NewLocalSignals(), r.clock, sessions.Options{LeasePoll: 20 * time.Millisecond, LeaseGrace: time.Hour})
		r.run(t, deaf)
		_, s := r.make(t, sessions.Experiment)
		watchRevocation(t, r, deaf, s, "a node that hears nothing")
	})

	t.Run("NewsReachesEveryNode", func(t *testing.T) { testNews(t, open) })

	t.Run("JournalWinsOverAStoreThatForgot", func(t *testing.T) {
		r := newRig(t, open, sessions.Options{})
		code, s := r.make(t, sessions.Experiment)
		r.is(t, code, nil)
		changed := make(chan sessions.Session, 8)
		defer r.Watch("t1", s.ID, func(s sessions.Session, _ error) { changed <- s })()
		err := r.Journal.Record(t.Context(), sessions.Revocation{
			Tenant: "t1", ID: s.ID, At: Base, Reason: "cancelled", MessagesUntil: Base, End: s.End(),
		})
		if err != nil {
			t.Fatal(err)
		}
		r.run(t, sessions.NewManager(r.Store, r.Journal, r.Signals, r.clock, sessions.Options{}))
		for now := await(t, changed); now.State(Base) != sessions.Revoked; {
			now = await(t, changed)
		}
		r.is(t, code, sessions.ErrRevoked)
	})

	t.Run("ConnectVersusRevoke", func(t *testing.T) { testConnectVersusRevoke(t, open) })
}

// watchRevocation watches a session through one manager, revokes it through the
// rig's, and waits until the watch knows.
func watchRevocation(t *testing.T, r *rig, m *sessions.Manager, s sessions.Session, where string) {
	t.Helper()
	told := make(chan sessions.Session, 8)
	defer m.Watch(s.Tenant, s.ID, func(s sessions.Session, err error) {
		if err != nil {
			t.Errorf("%s: %v", where, err)
		}
		told <- s
	})()
	if now, err := m.Get(t.Context(), s.Tenant, s.ID); err != nil || now.State(Base) != sessions.Active {
		t.Fatalf("%s: %s, %v", where, say(now), err)
	}
	if err := r.Revoke(t.Context(), s.Tenant, s.ID, "ended by root"); err != nil {
		t.Fatal(err)
	}
	for {
		if got := await(t, told); got.State(Base) == sessions.Revoked {
			if got.Reason != "ended by root" {
				t.Errorf("%s: reason %q", where, got.Reason)
			}
			return
		}
	}
}

// testConnectVersusRevoke races registrations against revocations: whoever
// registers, then reads an active session, must be told of its end.
func testConnectVersusRevoke(t *testing.T, open func(t *testing.T) Backend) {
	r := newRig(t, open, sessions.Options{LeasePoll: time.Hour, LeaseGrace: 3 * time.Hour})
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 64 {
		_, s := r.make(t, sessions.Experiment)
		wg.Go(func() {
			if err := r.Revoke(t.Context(), s.Tenant, s.ID, "raced"); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			ended := make(chan struct{}, 8)
			defer r.Watch(s.Tenant, s.ID, func(s sessions.Session, err error) {
				if err != nil || s.State(Base) == sessions.Revoked {
					ended <- struct{}{}
				}
			})()
			now, err := r.Get(t.Context(), s.Tenant, s.ID)
			if err != nil {
				t.Error(err)
				return
			}
			if now.State(Base) != sessions.Active {
				return // refused before it began
			}
			timer := time.NewTimer(limit)
			defer timer.Stop()
			select {
			case <-ended:
			case <-timer.C:
				t.Errorf("session %s: connected, revoked, never told", s.ID)
			}
		})
	}
}
