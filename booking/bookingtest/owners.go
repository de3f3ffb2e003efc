package bookingtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// testOwners: what was made for a person is another's, and theirs again; what the
// other had, has or will have made for themselves never moves.
func testOwners(t *testing.T, l *lab) {
	owned := func(id string, madeFor lodge.PersonID, from int) booking.Record {
		r := record(id, from, from+1)
		r.Owner, r.MadeFor = madeFor, madeFor
		return r
	}
	must(t, l.update(func(tx booking.Tx) error {
		for _, r := range []booking.Record{owned("a", "p", 0), owned("b", "p", 1), owned("c", "q", 2)} {
			if err := tx.Insert(r); err != nil {
				return err
			}
		}
		return nil
	}))
	set := func(person, owner lodge.PersonID, want ...string) {
		t.Helper()
		must(t, l.update(func(tx booking.Tx) error {
			moved, err := tx.SetOwner(tenant, person, owner)
			if slices.Sort(moved); !slices.Equal(moved, want) {
				t.Errorf("to %s moved %v, want %v", owner, moved, want)
			}
			return err
		}))
	}
	check := func(want string) {
		t.Helper()
		must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
			got := ""
			for _, id := range []string{"a", "b", "c"} {
				r, err := tx.Booking(tenant, id)
				if err != nil {
					return err
				}
				got += fmt.Sprintf("%s:%s/%s@%d ", id, r.Owner, r.MadeFor, r.Version)
			}
			owner, err := tx.Owner(tenant, "p")
			if got += string(owner); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			return err
		}))
	}
	set("p", "q", "a", "b")
	set("p", "q")
	check("a:q/p@2 b:q/p@2 c:q/q@1 q")
	set("p", "r", "a", "b")
	set("q", "r", "c")
	check("a:r/p@3 b:r/p@3 c:r/q@2 r")
	set("p", "p", "a", "b")
	check("a:p/p@4 b:p/p@4 c:r/q@2 p")
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		for owner, want := range map[lodge.PersonID]int{"p": 2, "q": 0, "r": 1} {
			if list, err := tx.List(tenant, booking.Filter{Owner: owner, Limit: 9}); err != nil || len(list) != want {
				t.Errorf("%s has %d bookings (%v), want %d", owner, len(list), err, want)
			}
		}
		if owner, err := tx.Owner("other", "q"); err != nil || owner != "q" {
			t.Errorf("the other tenant's q is %s, %v", owner, err)
		}
		return nil
	}))
}

// testReassign: limits count what two who turned out to be one have together, and
// a booking that is made for the one while that happens is the other's too.
func testReassign(t *testing.T, l *lab) {
	ctx := t.Context()
	first, reference := l.book(ask("ada"))
	moved, err := l.desk.Reassign(ctx, tenant, map[lodge.PersonID]lodge.PersonID{"ada": "soren"})
	must(t, err)
	if !slices.Equal(moved, []string{first.ID}) {
		t.Errorf("moved %v, want %s", moved, first.ID)
	}
	later := ask("ada")
	later.Start, later.Key = at(20), "k"
	second, _ := l.book(later)
	if again, _ := l.book(later); again.ID != second.ID || second.Owner != "soren" {
		t.Errorf("made for ada now: %+v, and again %+v", second, again)
	}
	third := ask("soren")
	third.Start = at(40)
	_, _, err = l.desk.Book(ctx, third)
	wantCode(t, err, lodge.CodeRefused) // two at most
	if found, err := l.lookup(first.Surname, reference, "192.0.2.1"); err != nil || found.Owner != "soren" {
		t.Errorf("looked up %+v, %v", found, err)
	}

	_, err = l.desk.Reassign(ctx, tenant, map[lodge.PersonID]lodge.PersonID{"ada": "ada"})
	must(t, err)
	own, _ := l.book(third)
	l.reopen()
	for person, want := range map[lodge.PersonID][]string{"ada": {first.ID, second.ID}, "soren": {own.ID}} {
		list, err := l.desk.ListByPerson(ctx, tenant, person, noon.Add(-time.Hour), time.Time{})
		must(t, err)
		var ids []string
		for _, b := range list {
			ids = append(ids, b.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s has %v, want %v", person, ids, want)
		}
	}
}
