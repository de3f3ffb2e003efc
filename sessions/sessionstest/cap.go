package sessionstest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/sessions"
)

// login returns a login session of person-1 that was last seen at a time.
func login(name string, seen time.Time) sessions.Session {
	s := Example("t1", name)
	s.Kind, s.Booking, s.Experiment, s.SeenAt = sessions.Login, "", "", seen
	return s
}

func testCap(t *testing.T, st sessions.Store) {
	seen := map[string]time.Duration{"a": 3, "b": 1, "c": 2} // minutes after Base
	for name, after := range seen {
		mustCreate(t, st, login(name, Base.Add(after*time.Minute)))
	}
	// None of these counts, and none goes.
	over, gone, other, experiment := login("over", Base.Add(-time.Hour)), login("gone", Base.Add(-time.Hour)), login("other", Base.Add(-time.Hour)), Example("t1", "experiment")
	over.ExpiresAt = Base.Add(time.Minute)
	gone.RevokedAt, gone.MessagesUntil = Base, Base
	other.Person = "person-2"
	elsewhere := login("elsewhere", Base.Add(-time.Hour))
	elsewhere.Tenant = "t2"
	bystanders := []sessions.Session{over, gone, other, experiment, elsewhere}
	for _, s := range bystanders {
		mustCreate(t, st, s)
	}

	c := sessions.Cap{Limit: 3, At: Base.Add(10 * time.Minute), Reason: "too many"}
	ended, err := st.CreateCapped(t.Context(), login("d", c.At), c)
	if err != nil || len(ended) != 1 || ended[0].ID != IDOf("b") {
		t.Fatalf("ended %v, %v; want b alone", ended, err)
	}
	stored := mustGet(t, st, "t1", IDOf("b"))
	if say(stored) != say(ended[0]) || stored.Version != 2 || !stored.RevokedAt.Equal(c.At) || stored.Reason != "too many" || stored.Messages(c.At) {
		t.Errorf("b is %s, returned as %s", say(stored), say(ended[0]))
	}
	for _, s := range bystanders {
		if got := mustGet(t, st, s.Tenant, s.ID); say(got) != say(s) {
			t.Errorf("%s was changed", say(s))
		}
	}
	if _, err := st.CreateCapped(t.Context(), login("d", Base), c); !errors.Is(err, sessions.ErrExists) {
		t.Errorf("a taken id: %v, want ErrExists", err)
	}
	// A lower limit takes effect with the next login.
	c.Limit = 1
	ended, err = st.CreateCapped(t.Context(), login("e", c.At), c)
	if err != nil || len(ended) != 3 {
		t.Errorf("with a lower limit: ended %d, %v; want 3", len(ended), err)
	}
	if list, err := st.List(t.Context(), "t1", sessions.Filter{Person: "person-1", Kind: sessions.Login, Limit: 10}); err != nil || !slices.ContainsFunc(list, func(s sessions.Session) bool { return s.ID == IDOf("e") }) {
		t.Errorf("the new one is not listed: %v, %v", list, err)
	}
}

func testParallelCap(t *testing.T, st sessions.Store) {
	const logins, limit = 32, 5
	c := sessions.Cap{Limit: limit, At: Base.Add(time.Minute), Reason: "too many"}
	live := func() int {
		list, err := st.List(t.Context(), "t1", sessions.Filter{Person: "person-1", Kind: sessions.Login})
		if err != nil {
			t.Error(err)
		}
		return len(slices.DeleteFunc(list, func(s sessions.Session) bool { return s.State(c.At) != sessions.Active }))
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ended := map[sessions.ID]int{}
	for i := range logins {
		wg.Go(func() {
			gone, err := st.CreateCapped(t.Context(), login(fmt.Sprint("login", i), Base.Add(time.Duration(i)*time.Millisecond)), c)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			for _, s := range gone {
				ended[s.ID]++
			}
			mu.Unlock()
			if n := live(); n > limit {
				t.Errorf("%d live sessions at once", n)
			}
		})
	}
	wg.Wait()
	if n := live(); n != limit || len(ended) != logins-limit {
		t.Errorf("%d are live and %d were ended of %d; want %d and %d", n, len(ended), logins, limit, logins-limit)
	}
	for id, times := range ended {
		if times != 1 {
			t.Errorf("%s was ended %d times", id, times)
		}
	}
}
