package sessions_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// run runs a rig's manager until the returned function is called, inside a
// synctest bubble.
func (r *rig) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return func() { cancel(); wg.Wait() }
}

// pass lets time pass within a synctest bubble, and whatever is due then happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// heard is what a watch was told.
type heard struct {
	at      time.Duration
	version uint64
	state   sessions.State
	err     error
}

// ears note what a watch is told, and when.
type ears struct {
	calling sync.Mutex // held during a call: calls of one watch are never concurrent
	mu      sync.Mutex
	list    []heard // guarded by mu
}

func (e *ears) told() []heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

// listen watches a session.
func (r *rig) listen(s sessions.Session) (e *ears, stop func()) {
	started := time.Now()
	e = &ears{}
	stop = r.Watch(s.Tenant, s.ID, func(s sessions.Session, err error) {
		if !e.calling.TryLock() {
			panic("a watch's calls are concurrent")
		}
		defer e.calling.Unlock()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.list = append(e.list, heard{time.Since(started), s.Version, s.State(sessionstest.Base), err})
	})
	return e, stop
}

func TestWatchHearsChangesOnceAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		_, s := r.create(t, sessions.New{Kind: sessions.Login, Person: "p1"})
		defer r.run(t)()
		ears, stop := r.listen(s)
		pass(time.Minute) // twelve polls
		if told := ears.told(); len(told) != 0 {
			t.Fatalf("told without a change: %+v", told)
		}
		r.clock.Advance(2 * time.Minute)
		if err := r.Touch(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if told := ears.told(); len(told) != 0 {
			t.Fatalf("told of mere activity: %+v", told)
		}
		if err := r.Refresh(t.Context(), "t1", "p1", []string{"g"}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if told := ears.told(); len(told) != 1 || told[0].at != 2*time.Minute {
			t.Fatalf("not told of a change at once: %+v", told)
		}
		pass(time.Minute)
		if told := ears.told(); len(told) != 1 {
			t.Fatalf("told again: %+v", told)
		}
		stop()
		if err := r.Revoke(t.Context(), "t1", s.ID, "ended"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if told := ears.told(); len(told) != 1 {
			t.Fatalf("told after stop: %+v", told)
		}
	})
}

func TestWatchHearsWithinOnePollWithPushLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		_, s := r.create(t, sessions.New{})
		defer r.run(t)()
		ears, stop := r.listen(s)
		defer stop()
		pass(time.Second)
		s.RevokedAt, s.Version = sessionstest.Base, 2
		r.store.Put(s) // by a node whose hints do not reach this one
		pass(5 * time.Second)
		if told := ears.told(); len(told) != 1 || told[0].state != sessions.Revoked {
			t.Fatalf("one poll later: %+v", told)
		}
	})
}

// A store that lost its last writes counts versions anew; what is revoked under
// a lower version must be heard of all the same.
func TestWatchHearsOfARevocationUnderALowerVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		_, s := r.create(t, sessions.New{})
		defer r.run(t)()
		ears, stop := r.listen(s)
		defer stop()
		s.Version = 9
		r.store.Put(s)
		pass(5 * time.Second)
		s.Version, s.RevokedAt = 3, sessionstest.Base
		r.store.Put(s)
		pass(5 * time.Second)
		if told := ears.told(); len(told) == 0 || told[len(told)-1].state != sessions.Revoked {
			t.Fatalf("told %+v", told)
		}
	})
}

func TestLeaseEndsWithAnUnreachableStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		_, s := r.create(t, sessions.New{})
		defer r.run(t)()
		ears, stop := r.listen(s)
		defer stop()
		pass(5*time.Second + time.Millisecond) // one good poll
		good := 5 * time.Second
		r.store.Break(errors.New("connection refused"))
		pass(12 * time.Second)
		if told := ears.told(); len(told) != 0 {
			t.Fatalf("told within the lease: %+v", told)
		}
		pass(3 * time.Second)
		if told := ears.told(); len(told) != 1 || lodge.CodeOf(told[0].err) != lodge.CodeUnavailable || told[0].at > good+15*time.Second {
			t.Fatalf("at the end of the lease: %+v", told)
		}
		pass(time.Minute)
		if told := ears.told(); len(told) != 1 {
			t.Fatalf("told of one outage more than once: %+v", told)
		}
		r.store.Break(nil)
		pass(5 * time.Second)
		if told := ears.told(); len(told) != 2 || told[1].err != nil || told[1].state != sessions.Active {
			t.Fatalf("after it mended: %+v", told)
		}
	})
}

func TestWatchHearsThatASessionIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		defer r.run(t)()
		ears, stop := r.listen(sessionstest.Example("t1", "never made"))
		defer stop()
		pass(time.Minute)
		if told := ears.told(); len(told) != 1 || lodge.CodeOf(told[0].err) != lodge.CodeNotFound {
			t.Fatalf("told %+v", told)
		}
	})
}

func TestOwedRevocationReachesTheStoreWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		code, s := r.create(t, sessions.New{})
		defer r.run(t)()
		// The journal takes the revocation; the store fails just then.
		broken := sessions.NewManager(&failingUpdates{r.store}, r.store.Journal(), sessions.NewLocalSignals(), r.clock, sessions.Options{})
		if err := broken.Revoke(t.Context(), "t1", s.ID, "ended"); lodge.CodeOf(err) != lodge.CodeUnavailable {
			t.Fatalf("revoke: %v, want 503", err)
		}
		if _, err := r.Check(t.Context(), "t1", code); err != nil {
			t.Fatal(err)
		}
		// A process that starts later settles it from the journal.
		later := &rig{sessions.NewManager(r.store, r.store.Journal(), sessions.NewLocalSignals(), r.clock, sessions.Options{}), r.store, r.clock}
		defer later.run(t)()
		if _, err := r.Check(t.Context(), "t1", code); !errors.Is(err, sessions.ErrRevoked) {
			t.Fatalf("after a start: %v, want ErrRevoked", err)
		}
	})
}

// A revocation that the store had, and lost to a failover that other nodes saw
// through first, is brought back by the node that made it.
func TestRevocationIsConfirmedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		code, s := r.create(t, sessions.New{})
		defer r.run(t)()
		if err := r.Revoke(t.Context(), "t1", s.ID, "ended"); err != nil {
			t.Fatal(err)
		}
		r.store.Put(s)
		if _, err := r.Check(t.Context(), "t1", code); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		if _, err := r.Check(t.Context(), "t1", code); !errors.Is(err, sessions.ErrRevoked) {
			t.Fatalf("one poll later: %v, want ErrRevoked", err)
		}
	})
}

// failingUpdates is a store that cannot write.
type failingUpdates struct{ sessions.Store }

func (failingUpdates) Update(context.Context, sessions.Session) error {
	return errors.New("broken pipe")
}

func TestEndedSessionsAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(sessions.Options{})
		_, s := r.create(t, sessions.New{})
		defer r.run(t)()
		if err := r.Revoke(t.Context(), "t1", s.ID, "ended"); err != nil {
			t.Fatal(err)
		}
		r.clock.Advance(59 * time.Minute)
		pass(11 * time.Minute)
		if _, err := r.Get(t.Context(), "t1", s.ID); err != nil {
			t.Fatalf("a tombstone was removed before its end: %v", err)
		}
		r.clock.Advance(2 * time.Minute)
		pass(11 * time.Minute)
		if _, err := r.Get(t.Context(), "t1", s.ID); lodge.CodeOf(err) != lodge.CodeNotFound {
			t.Fatalf("after its end: %v, want 404", err)
		}
	})
}
