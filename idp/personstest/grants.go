package personstest

import (
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/idp"
)

// Grants runs what an idp.GrantStore promises, on an empty one.
func Grants(t *testing.T, store idp.GrantStore) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	keep := func(k idp.KeptGrant) {
		t.Helper()
		if err := store.KeepGrant(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	due := func(at time.Time, limit int) (sessions []string) {
		t.Helper()
		found, err := store.DueGrants(t.Context(), at, at.Add(time.Minute), limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range found {
			sessions = append(sessions, string(k.Tenant)+"/"+k.Session)
		}
		return sessions
	}
	first := idp.KeptGrant{Tenant: "here", Session: "a", Issuer: "dev", Checked: now, Due: now.Add(time.Minute), Sealed: []byte("1")}
	keep(first)
	keep(idp.KeptGrant{Tenant: "there", Session: "a", Issuer: "dev", Due: now.Add(2 * time.Minute), Sealed: []byte("2")})
	if got := due(now, 10); got != nil {
		t.Errorf("before the time: %q", got)
	}
	at := now.Add(2 * time.Minute)
	if got := due(at, 1); !slices.Equal(got, []string{"here/a"}) {
		t.Errorf("the first that is due: %q", got)
	}
	if got := due(at, 10); !slices.Equal(got, []string{"there/a"}) {
		t.Errorf("what nobody has taken up: %q", got)
	}
	if got := due(at, 10); got != nil {
		t.Errorf("taken up twice: %q", got)
	}
	if got := due(at.Add(time.Minute), 10); len(got) != 2 {
		t.Errorf("left behind by a node that stopped: %q", got)
	}
	first.Sealed, first.Due = []byte("3"), at.Add(time.Hour)
	keep(first)
	found, err := store.DueGrants(t.Context(), first.Due, first.Due.Add(time.Hour), 10)
	if i := slices.IndexFunc(found, func(k idp.KeptGrant) bool { return k.Tenant == "here" }); err != nil || i < 0 || string(found[i].Sealed) != "3" || !found[i].Checked.Equal(now) {
		t.Errorf("what was kept last: %+v, %v", found, err)
	}
	for range 2 { // it may be gone
		if err := store.DropGrant(t.Context(), "here", "a"); err != nil {
			t.Fatal(err)
		}
	}
	if got := due(at.Add(24*time.Hour), 10); !slices.Equal(got, []string{"there/a"}) {
		t.Errorf("after one was dropped: %q", got)
	}
}
