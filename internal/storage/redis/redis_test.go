package redis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/internal/redistest"
	"github.com/lodge-gateway/lodge/sessions"
	"github.com/lodge-gateway/lodge/sessions/sessionstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a DB that lasts as long as the test.
func open(t *testing.T, c Config) *DB {
	t.Helper()
	if c.Clock == nil {
		c.Clock = sessionstest.NewClock()
	}
	db, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func at(s *redistest.Server, j Journal) Config { return Config{Addrs: []string{s.Addr()}, Journal: j} }

func TestSessions(t *testing.T) {
	server := redistest.Start(t)
	sessionstest.Run(t, func(t *testing.T) sessionstest.Backend {
		db := open(t, at(server, sessionstest.NewMemory().Journal()))
		if err := db.client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return sessionstest.Backend{Store: NewSessions(db), Signals: NewSignals(db)}
	})
}

func TestParseURL(t *testing.T) {
	c, err := ParseURL("rediss://lodge:pa%20ss@r1.example:6380/2?addr=r2.example:6380&master=main")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(c.Addrs, " ") != "r1.example:6380 r2.example:6380" || c.Master != "main" || c.Username != "lodge" ||
		c.Password != "pa ss" || c.DB != 2 || c.TLS == nil || c.TLS.InsecureSkipVerify {
		t.Errorf("read as %+v", c)
	}
	if c, err := ParseURL("redis://[::1]"); err != nil || c.Addrs[0] != "[::1]:6379" || c.TLS != nil {
		t.Errorf("the shortest: %+v, %v", c, err)
	}
	for _, bad := range []string{
		"", "http://:hush@h", "redis://:hush@", "redis://:hush@h:port", "redis://:hush@h/x", "redis://:hush@h/-1", "redis://:hush@h?adr=h2",
		"redis://:hush@h?cluster=maybe", "redis://:hush@h/1?cluster=true", "redis://:hush@h?cluster=true&master=m", "redis://:hush@h/%zz",
	} {
		if c, err := ParseURL(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, c)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error for %q repeats its password: %v", bad, err)
		}
	}
}

// session creates a session, and returns it with its revocation.
func session(t *testing.T, st *Sessions, name string) (sessions.Session, sessions.Revocation) {
	t.Helper()
	s := sessionstest.Example("t1", name)
	if err := st.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s, sessions.Revocation{
		Tenant: "t1", ID: s.ID, At: sessionstest.Base, Reason: "cancelled",
		MessagesUntil: sessionstest.Base.Add(time.Hour), End: s.End(),
	}
}

func state(t *testing.T, st *Sessions, id sessions.ID) sessions.State {
	t.Helper()
	found, err := st.Get(t.Context(), "t1", []sessions.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	s, ok := found[id]
	if !ok {
		t.Fatal("the session is gone")
	}
	return s.State(sessionstest.Base)
}

// eventually calls fn until it returns nil, under a deadline.
func eventually(t *testing.T, fn func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %v", err)
		case <-tick.C:
		}
	}
}

// A server that comes back with an older copy has the journal applied before
// anything is read from it, through a DB that was open all along and through a
// new one.
func TestRel26_RevocationSurvivesAnOlderCopy(t *testing.T) {
	server := redistest.Start(t)
	journal := sessionstest.NewMemory().Journal()
	db := open(t, at(server, journal))
	st := NewSessions(db)
	s, r := session(t, st, "a")
	other, _ := session(t, st, "b")
	if err := db.client.Save(t.Context()).Err(); err != nil { // the older copy
		t.Fatal(err)
	}
	if err := journal.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	gone := s
	if !r.Apply(&gone) {
		t.Fatal("the revocation changes nothing")
	}
	if err := st.Update(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if _, err := st.Get(t.Context(), "t1", []sessions.ID{s.ID}); err == nil {
		t.Fatal("a dead server answered")
	}
	server.Restart()
	eventually(t, func() error { return db.Ping(t.Context()) })
	if got := state(t, st, s.ID); got != sessions.Revoked {
		t.Errorf("the revoked session is %s after the restart", got)
	}
	if got := state(t, st, other.ID); got != sessions.Active {
		t.Errorf("the other session is %s after the restart", got)
	}
}

type brokenJournal struct{ err error }

func (b *brokenJournal) Standing(context.Context, lodge.Tenant, time.Time) ([]sessions.Revocation, error) {
	return nil, b.err
}

func TestNothingIsReadWhileTheJournalCannotBe(t *testing.T) {
	server := redistest.Start(t)
	st := NewSessions(open(t, at(server, sessionstest.NewMemory().Journal())))
	s, _ := session(t, st, "a")

	journal := &brokenJournal{errors.New("database is down")}
	other := NewSessions(open(t, at(server, journal)))
	if found, err := other.Get(t.Context(), "t1", []sessions.ID{s.ID}); !errors.Is(err, ErrUntrusted) || found != nil {
		t.Fatalf("got %v, %v; want ErrUntrusted", found, err)
	}
	if err := other.Ping(t.Context()); !errors.Is(err, ErrUntrusted) {
		t.Fatalf("ping: %v, want ErrUntrusted", err)
	}
	journal.err = nil
	if got := state(t, other, s.ID); got != sessions.Active {
		t.Errorf("once it can be read: %s", got)
	}
}

// A relay without the database trusts a server only after a gateway has.
func TestNodeWithoutJournalWaitsForTheMark(t *testing.T) {
	server := redistest.Start(t)
	relay := open(t, at(server, nil))
	if err := relay.Ping(t.Context()); !errors.Is(err, ErrUntrusted) {
		t.Fatalf("before a gateway: %v, want ErrUntrusted", err)
	}
	gateway := open(t, at(server, sessionstest.NewMemory().Journal()))
	if err := gateway.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return relay.Ping(t.Context()) })

	server.Kill()
	server.Restart()
	eventually(t, func() error {
		if err := relay.Ping(t.Context()); !errors.Is(err, ErrUntrusted) {
			return errors.Join(errors.New("the mark of the life before was accepted"), err)
		}
		return nil
	})
	eventually(t, func() error { return gateway.Ping(t.Context()) })
	eventually(t, func() error { return relay.Ping(t.Context()) })
}

func TestReplicaIsNotTrustedUntilPromoted(t *testing.T) {
	master := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	host, port, _ := strings.Cut(master.Addr(), ":")
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	journal := sessionstest.NewMemory().Journal()
	st := NewSessions(open(t, at(master, journal)))
	s, r := session(t, st, "a")

	db := open(t, at(replica, journal))
	if err := db.Ping(t.Context()); !errors.Is(err, ErrUntrusted) {
		t.Fatalf("a replica: %v, want ErrUntrusted", err)
	}
	raw := rawClient(t, replica)
	eventually(t, func() error { return raw.Get(t.Context(), keysOf("t1").session(s.ID)).Err() })
	// The master dies before the replica has heard of the revocation.
	master.Kill()
	if err := journal.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := raw.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return db.Ping(t.Context()) })
	if got := state(t, NewSessions(db), s.ID); got != sessions.Revoked {
		t.Errorf("after the failover the session is %s", got)
	}
}

func TestFullServerStillRevokes(t *testing.T) {
	server := redistest.Start(t, "--maxmemory-policy", "noeviction")
	db := open(t, at(server, sessionstest.NewMemory().Journal()))
	st := NewSessions(db)
	s, r := session(t, st, "a")
	if err := db.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := st.Create(t.Context(), sessionstest.Example("t1", "b")); err == nil {
		t.Error("a full server took a new session")
	}
	touched := s
	touched.SeenAt = touched.SeenAt.Add(time.Minute)
	if err := st.Update(t.Context(), touched); err == nil {
		t.Error("a full server took a change that is no revocation")
	}
	r.Apply(&s)
	if err := st.Update(t.Context(), s); err != nil {
		t.Errorf("revocation on a full server: %v", err)
	}
	if got := state(t, st, s.ID); got != sessions.Revoked {
		t.Errorf("the session is %s", got)
	}
	// A node that starts now can use the server all the same.
	if err := open(t, at(server, sessionstest.NewMemory().Journal())).Ping(t.Context()); err != nil {
		t.Errorf("a new node on a full server: %v", err)
	}
}

func TestSec2_ServerHoldsNoCode(t *testing.T) {
	server := redistest.Start(t)
	db := open(t, at(server, sessionstest.NewMemory().Journal()))
	m := sessions.NewManager(NewSessions(db), sessionstest.NewMemory().Journal(), NewSignals(db), sessionstest.NewClock(), sessions.Options{})
	code, _, err := m.Create(t.Context(), sessions.New{Tenant: "t1", Kind: sessions.Service, ExpiresAt: sessionstest.Base.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	names, err := db.client.Keys(t.Context(), "*").Result()
	if err != nil || len(names) == 0 {
		t.Fatalf("keys: %v, %v", names, err)
	}
	secret := strings.TrimPrefix(code, "lodge_svc_")
	for _, name := range names {
		dump, err := db.client.Dump(t.Context(), name).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(name+dump, secret) {
			t.Errorf("the code is in %s", name)
		}
	}
}

func TestSec32_KeysOfATenantCarryItAsHashTag(t *testing.T) {
	server := redistest.Start(t)
	db := open(t, at(server, sessionstest.NewMemory().Journal()))
	session(t, NewSessions(db), "a")
	names, err := db.client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "lodge:{t1}:") && name != tenantsKey && name != marksKey {
			t.Errorf("key %s is outside the tenant", name)
		}
	}
}

func TestSec40_TimedOutConnectionIsNotUsedAgain(t *testing.T) {
	server := redistest.Start(t)
	db := open(t, at(server, sessionstest.NewMemory().Journal()))
	st := NewSessions(db)
	a, _ := session(t, st, "a")
	b, _ := session(t, st, "b")
	raw := rawClient(t, server)
	if err := raw.ClientPause(t.Context(), 300*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := st.Get(ctx, "t1", []sessions.ID{a.ID}); err == nil {
		t.Fatal("a paused server answered")
	}
	// The late answer about a must not be taken for one about b.
	eventually(t, func() error {
		found, err := st.Get(t.Context(), "t1", []sessions.ID{b.ID})
		if err == nil && found[b.ID].ID != b.ID {
			t.Fatalf("asked for b, got %v", found)
		}
		return err
	})
}

func TestForeignMessagesAreNoSignals(t *testing.T) {
	good := string(sessionstest.IDOf("a"))
	for _, m := range []redis.Message{
		{Channel: "lodge:{}:signals", Payload: good}, {Channel: "lodge:{t1}:other", Payload: good}, {Channel: "lodge:{t1}:signals"},
		{Channel: "lodge:{t1}:signals", Payload: "x\n\n\xff"}, {},
	} {
		if s, ok := signalOf(m.Channel, m.Payload); ok {
			t.Errorf("%q on %q is read as %+v", m.Payload, m.Channel, s)
		}
	}
	s, ok := signalOf("lodge:{t1}:signals", "junk\n"+good)
	if !ok || s.Tenant != "t1" || len(s.IDs) != 1 || string(s.IDs[0]) != good {
		t.Errorf("read as %+v, %v", s, ok)
	}
}
