package postgres

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/personstest"
)

func TestPersons(t *testing.T) {
	personstest.Run(t, func(t *testing.T) personstest.Harness {
		url := fresh(t)
		db := open(t, url)
		return personstest.Harness{
			Store: NewPersons(db),
			Break: func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			},
			Reopen: func() idp.Store {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				return NewPersons(open(t, url))
			},
		}
	})
}

func TestGrantsAreTakenUpOnceWhenDue(t *testing.T) {
	personstest.Grants(t, NewPersons(open(t, fresh(t))))
}

func TestSec11_LogoutTokensAreRememberedUntilTheyEnd(t *testing.T) {
	personstest.LogoutTokens(t, NewPersons(open(t, fresh(t))))
}

// Of nodes that look for due grants at once, each takes up others.
func TestGrantsOfSeveralNodes(t *testing.T) {
	url := fresh(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	store := NewPersons(open(t, url))
	const all = 60
	for i := range all {
		if err := store.KeepGrant(t.Context(), idp.KeptGrant{Tenant: "t1", Session: fmt.Sprint(i), Issuer: "dev", Due: now, Sealed: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	taken := map[string]int{}
	var wg sync.WaitGroup
	for range 3 {
		node := NewPersons(open(t, url))
		wg.Go(func() {
			for {
				due, err := node.DueGrants(t.Context(), now, now.Add(time.Minute), 5)
				if err != nil {
					t.Error(err)
				}
				if len(due) == 0 {
					return
				}
				mu.Lock()
				for _, k := range due {
					taken[k.Session]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for i := range all {
		if n := taken[fmt.Sprint(i)]; n > 1 {
			t.Errorf("grant %d was taken up %d times", i, n)
		}
	}
	left, err := store.DueGrants(t.Context(), now, now.Add(time.Minute), all)
	if err != nil || len(taken)+len(left) != all {
		t.Errorf("%d taken up, %d left, %v; want %d together", len(taken), len(left), err, all)
	}
}

// First sign-ins of one account at several nodes at once make one person.
func TestFirstSignInAtSeveralNodes(t *testing.T) {
	url := fresh(t)
	var mu sync.Mutex
	ids := map[lodge.PersonID]bool{}
	var wg sync.WaitGroup
	for range 3 {
		node := NewPersons(open(t, url))
		for range 4 {
			wg.Go(func() {
				p, err := node.SignedIn(t.Context(), "t1", idp.Identity{Issuer: "dev", Subject: "ada", Name: "Ada", Groups: []string{"g"}})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				ids[p.ID] = true
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("%d persons", len(ids))
	}
}

func TestWhatIsNoTextInAPerson(t *testing.T) {
	store := NewPersons(open(t, fresh(t)))
	for _, odd := range []string{"a\x00b", "a\xffb", "a\x1ab"} {
		who := idp.Identity{Issuer: "dev", Subject: odd, Name: odd, Groups: []string{odd}, Bindings: []lodge.Binding{{Role: lodge.RoleInstructor}}, Reasons: []idp.Reason{{Value: odd}}}
		p, err := store.SignedIn(t.Context(), "t1", who)
		if err != nil || p.Subjects[0].Subject != odd || p.Groups[0] != odd || !utf8.ValidString(p.Name) {
			t.Errorf("%q: %+v, %v", odd, p, err)
		}
		if all, err := store.SignIns(t.Context(), "t1", p.ID); err != nil || len(all) != 1 || len(all[0].Reasons) != 1 || all[0].Groups[0] != odd {
			t.Errorf("%q: signed in with %+v, %v", odd, all, err)
		}
		if again, err := store.Find(t.Context(), "t1", "dev", odd); err != nil || again.ID != p.ID {
			t.Errorf("%q: found %+v, %v", odd, again, err)
		}
		if all, err := store.InGroup(t.Context(), "t1", odd); err != nil || len(all) != 1 {
			t.Errorf("%q: in the group are %+v, %v", odd, all, err)
		}
	}
	if _, err := store.SignIns(t.Context(), "t1", "a\x00b"); lodge.CodeOf(err) != lodge.CodeInvalid {
		t.Errorf("an id that is no text: %v", err)
	}
}
