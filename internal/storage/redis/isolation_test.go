package redis

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/faultproxy"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

// A network splits: the old master and one node on this side, the replica and
// another node on that. The replica is promoted, a session revoked there. The old
// master has been told to want a replica, and this side's node neither reads nor
// writes at it, long before it would notice anything else.
func TestRel08_IsolatedOldMasterRefuses(t *testing.T) {
	master := redistest.Start(t, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "1", "--repl-diskless-sync-delay", "0")
	between := faultproxy.Start(t, master.Addr())
	host, port, err := net.SplitHostPort(between.Addr())
	if err != nil {
		t.Fatal(err)
	}
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	journal := sessionstest.NewMemory().Journal()
	here := startNode(t, at(master, journal), journal)
	n := sessions.New{Tenant: "t1", Kind: sessions.Experiment, Person: "p1", Booking: "b1", Experiment: "pend00", ExpiresAt: sessionstest.Base.Add(time.Hour)}
	var code string
	var s sessions.Session
	eventually(t, func() (err error) { // until the replica is in step, there is nothing to write to
		code, s, err = here.Create(t.Context(), n)
		return err
	})
	eventually(t, func() error { return rawClient(t, replica).Get(t.Context(), keysOf("t1").session(s.ID)).Err() })
	if _, err := here.Check(t.Context(), "t1", code); err != nil {
		t.Fatal(err)
	}

	between.Hang() // nobody is told that the connection is gone
	split := time.Now()
	var validAt atomic.Int64
	replica.Ask("REPLICAOF", "NO", "ONE")
	there := startNode(t, at(replica, journal), journal)
	eventually(t, func() error { return there.Revoke(t.Context(), "t1", s.ID, "ended by root") })
	eventually(t, func() error {
		switch _, err := here.Check(t.Context(), "t1", code); {
		case err == nil:
			validAt.Store(int64(time.Since(split)))
			return errors.New("the old master's word is taken")
		case lodge.CodeOf(err) == lodge.CodeUnavailable && errors.Is(err, ErrUntrusted):
			return nil
		default:
			return err
		}
	})
	t.Logf("believed last %v after the split", time.Duration(validAt.Load()).Round(time.Millisecond))
	if last := time.Duration(validAt.Load()); last > 10*time.Second {
		t.Errorf("the old master was believed for %v", last)
	}
	if _, err := here.Check(t.Context(), "t1", code); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Errorf("once refused, then %v", err)
	}
	if _, _, err := here.Create(t.Context(), n); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Errorf("a new session at the old master: %v", err)
	}
	if _, err := there.Check(t.Context(), "t1", code); !errors.Is(err, sessions.ErrRevoked) {
		t.Errorf("at the new master: %v", err)
	}
	// Whoever was a master is none when it comes back as a replica.
	between.Pass()
	host, port, err = net.SplitHostPort(replica.Addr())
	if err != nil {
		t.Fatal(err)
	}
	master.Ask("REPLICAOF", host, port)
	if _, err := here.Check(t.Context(), "t1", code); lodge.CodeOf(err) != lodge.CodeUnavailable {
		t.Errorf("demoted: %v", err)
	}
}
