package sessionstest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/sessions"
)

func testStore(t *testing.T, open func(t *testing.T) sessions.Store) {
	t.Run("KeepsEveryField", func(t *testing.T) {
		st, s := open(t), Example("t1", "a")
		mustCreate(t, st, s)
		if got := mustGet(t, st, "t1", s.ID); say(got) != say(s) {
			t.Errorf("got  %s\nwant %s", say(got), say(s))
		}
	})

	t.Run("MissingIsAbsent", func(t *testing.T) {
		st := open(t)
		mustCreate(t, st, Example("t1", "a"))
		found, err := st.Get(t.Context(), "t1", []sessions.ID{IDOf("a"), IDOf("b"), IDOf("c")})
		if err != nil || len(found) != 1 || found[IDOf("a")].ID != IDOf("a") {
			t.Errorf("found %v, %v; want a alone", found, err)
		}
		if finder, ok := st.(sessions.Finder); ok {
			if s, err := finder.Find(t.Context(), "t1", IDOf("b")); s != nil || err != nil {
				t.Errorf("finding what is not there: %v, %v", s, err)
			}
		}
		if found, err := st.Get(t.Context(), "t1", nil); err != nil || len(found) != 0 {
			t.Errorf("nothing asked: %v, %v", found, err)
		}
	})

	t.Run("TakenIDIsRefused", func(t *testing.T) {
		st, s := open(t), Example("t1", "a")
		mustCreate(t, st, s)
		s.Name = "somebody else"
		if err := st.Create(t.Context(), s); !errors.Is(err, sessions.ErrExists) {
			t.Errorf("second create: %v, want ErrExists", err)
		}
	})

	t.Run("Sec32_TenantsAreApart", func(t *testing.T) {
		st, a := open(t), Example("t1", "a")
		b := Example("t2", "a")
		b.Name = "of t2"
		mustCreate(t, st, a)
		mustCreate(t, st, b)
		b.RevokedAt, b.MessagesUntil = Base, Base
		if err := st.Update(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, st, "t1", a.ID); say(got) != say(a) {
			t.Errorf("a change in t2 reached t1: %s", say(got))
		}
		if list, err := st.List(t.Context(), "t3", sessions.Filter{Person: "person-1"}); err != nil || len(list) != 0 {
			t.Errorf("t3 lists %v, %v", list, err)
		}
	})

	t.Run("UpdateComparesVersions", func(t *testing.T) {
		st, s := open(t), Example("t1", "a")
		mustCreate(t, st, s)
		s.SeenAt = Base.Add(time.Minute)
		if err := st.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if got := mustGet(t, st, "t1", s.ID); got.Version != 2 || !got.SeenAt.Equal(s.SeenAt) {
			t.Errorf("after an update: version %d, seen %v", got.Version, got.SeenAt)
		}
		if err := st.Update(t.Context(), s); !errors.Is(err, sessions.ErrStale) {
			t.Errorf("update on version 1 again: %v, want ErrStale", err)
		}
		if err := st.Update(t.Context(), Example("t1", "b")); !errors.Is(err, sessions.ErrUnknown) {
			t.Errorf("update of none: %v, want ErrUnknown", err)
		}
	})

	t.Run("OfRacingUpdatesOneWins", func(t *testing.T) {
		st, s := open(t), Example("t1", "a")
		mustCreate(t, st, s)
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				// The very same change: a store must not take one for a retry of another.
				switch err := st.Update(t.Context(), s); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, sessions.ErrStale):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d of 16 updates of version 1 were accepted", wins.Load())
		}
	})

	t.Run("RevokedStaysRevoked", func(t *testing.T) {
		st, s := open(t), Example("t1", "a")
		mustCreate(t, st, s)
		late := s
		s.RevokedAt, s.Reason = Base, "cancelled"
		if err := st.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		for _, version := range []uint64{1, 2, 3} {
			late.Version = version
			if err := st.Update(t.Context(), late); !errors.Is(err, sessions.ErrRevoked) {
				t.Errorf("late update at version %d: %v, want ErrRevoked", version, err)
			}
		}
		got := mustGet(t, st, "t1", s.ID)
		if got.State(Base) != sessions.Revoked || got.Reason != "cancelled" {
			t.Errorf("the tombstone is %s", say(got))
		}
		got.MessagesUntil = Base // what is left may be taken from a tombstone
		if err := st.Update(t.Context(), got); err != nil {
			t.Error(err)
		}
	})

	t.Run("Sec7_CapEndsTheOneUnusedTheLongest", func(t *testing.T) { testCap(t, open(t)) })
	t.Run("Sec7_CapHoldsUnderParallelLogins", func(t *testing.T) { testParallelCap(t, open(t)) })
	t.Run("ListFilters", func(t *testing.T) { testList(t, open(t)) })
	t.Run("ListPages", func(t *testing.T) { testPages(t, open(t)) })
	t.Run("Collect", func(t *testing.T) { testCollect(t, open(t)) })

	t.Run("Ping", func(t *testing.T) {
		if err := open(t).Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func testList(t *testing.T, st sessions.Store) {
	type in struct {
		name    string
		kind    sessions.Kind
		person  lodge.PersonID
		booking string
		issuer  string
		sid     string
	}
	for _, x := range []in{
		{"login", sessions.Login, "p1", "", "dev", "s1"},
		{"login2", sessions.Login, "p1", "", "dev", "s2"},
		{"other", sessions.Login, "p2", "", "uni", "s1"},
		{"exp", sessions.Experiment, "p1", "b1", "", ""},
		{"bkg", sessions.Booking, "p1", "b1", "", ""},
		{"host", sessions.Host, "", "", "", ""},
	} {
		s := Example("t1", x.name)
		s.Kind, s.Person, s.Booking, s.Issuer, s.IdPSession = x.kind, x.person, x.booking, x.issuer, x.sid
		mustCreate(t, st, s)
	}
	for _, c := range []struct {
		what   string
		filter sessions.Filter
		want   []string
	}{
		{"all", sessions.Filter{}, []string{"login", "login2", "other", "exp", "bkg", "host"}},
		{"a person's", sessions.Filter{Person: "p1"}, []string{"login", "login2", "exp", "bkg"}},
		{"a person's logins", sessions.Filter{Person: "p1", Kind: sessions.Login}, []string{"login", "login2"}},
		{"a booking's", sessions.Filter{Booking: "b1"}, []string{"exp", "bkg"}},
		{"hosts", sessions.Filter{Kind: sessions.Host}, []string{"host"}},
		{"an issuer's session", sessions.Filter{Issuer: "dev", IdPSession: "s1"}, []string{"login"}},
		{"nobody's", sessions.Filter{Person: "p9"}, nil},
	} {
		list, err := st.List(t.Context(), "t1", c.filter)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []sessions.ID
		for _, s := range list {
			got = append(got, s.ID)
		}
		for _, name := range c.want {
			want = append(want, IDOf(name))
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d sessions %v, want %v in order", c.what, len(got), got, want)
		}
	}
}

func testPages(t *testing.T, st sessions.Store) {
	const n = 450 // more than a back end is likely to read at once
	want := map[sessions.ID]bool{}
	var wg sync.WaitGroup
	for i := range n {
		s := Example("t1", fmt.Sprint(i))
		if i%3 == 0 {
			s.Kind = sessions.Booking
		} else {
			want[s.ID] = true
		}
		wg.Go(func() {
			if err := st.Create(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f := sessions.Filter{Person: "person-1", Kind: sessions.Experiment, Limit: 70}
	for pages := 0; ; pages++ {
		list, err := st.List(t.Context(), "t1", f)
		if err != nil || len(list) > f.Limit || pages > n {
			t.Fatalf("page %d: %d sessions, %v", pages, len(list), err)
		}
		for _, s := range list {
			if !want[s.ID] {
				t.Fatalf("%s is listed twice, or should not be", s.ID)
			}
			delete(want, s.ID)
			f.After = s.ID
		}
		if len(list) < f.Limit {
			break
		}
	}
	if len(want) != 0 {
		t.Errorf("%d sessions were on no page", len(want))
	}
	if list, err := st.List(t.Context(), "t1", sessions.Filter{}); err != nil || len(list) != n {
		t.Errorf("all at once: %d, %v; want %d", len(list), err, n)
	}
}

func testCollect(t *testing.T, st sessions.Store) {
	ended := Example("t1", "ended")
	messages := Example("t1", "messages") // over, but for its right to messages
	tomb := Example("t2", "tombstone")
	for _, s := range []*sessions.Session{&ended, &messages, &tomb} {
		s.ExpiresAt, s.MessagesUntil = Base.Add(time.Hour), Base.Add(time.Hour)
	}
	messages.MessagesUntil = Base.Add(24 * time.Hour)
	tomb.RevokedAt, tomb.MessagesUntil = Base, Base
	for _, s := range []sessions.Session{ended, messages, tomb} {
		mustCreate(t, st, s)
	}
	if n, err := st.Collect(t.Context(), Base.Add(time.Minute)); err != nil || n != 0 {
		t.Fatalf("before any end: %d, %v; a tombstone stays until its End", n, err)
	}
	mustGet(t, st, "t2", tomb.ID)
	if n, err := st.Collect(t.Context(), Base.Add(2*time.Hour)); err != nil || n != 2 {
		t.Fatalf("after the end of two: %d, %v", n, err)
	}
	mustGet(t, st, "t1", messages.ID)
	list, err := st.List(t.Context(), "t1", sessions.Filter{Booking: "booking-1"})
	if err != nil || len(list) != 1 || list[0].ID != messages.ID {
		t.Errorf("left: %v, %v", list, err)
	}
	// A moved end is what counts.
	messages.MessagesUntil = Base.Add(48 * time.Hour)
	if err := st.Update(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	if n, err := st.Collect(t.Context(), Base.Add(25*time.Hour)); err != nil || n != 0 {
		t.Errorf("after the end was moved: %d, %v", n, err)
	}
	if n, err := st.Collect(t.Context(), Base.Add(49*time.Hour)); err != nil || n != 1 {
		t.Errorf("after the moved end: %d, %v", n, err)
	}
}

func mustCreate(t *testing.T, st sessions.Store, s sessions.Session) {
	t.Helper()
	if err := st.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func mustGet(t *testing.T, st sessions.Store, tenant lodge.Tenant, id sessions.ID) sessions.Session {
	t.Helper()
	found, err := st.Get(t.Context(), tenant, []sessions.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	s, ok := found[id]
	if !ok {
		t.Fatalf("session %s is not there", id)
	}
	if finder, ok := st.(sessions.Finder); ok {
		if same, err := finder.Find(t.Context(), tenant, id); err != nil || same == nil || say(*same) != say(s) {
			t.Fatalf("Find and Get of session %s do not agree: %v, %v", id, same, err)
		}
	}
	return s
}
