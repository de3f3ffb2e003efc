package bookingtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func testObjects(t *testing.T, l *lab) {
	other := lodge.Tenant("other")
	id := func(kind, name string) booking.ObjectID { return booking.ObjectID{Kind: kind, Name: name} }
	must(t, l.update(func(tx booking.Tx) error {
		if r, err := tx.Revision(other); err != nil || r != 0 {
			t.Errorf("revision of nothing: %d %v", r, err)
		}
		return errors.Join(
			tx.ChangeObjects(other, []booking.Object{{Kind: "b", Name: "n", Body: []byte("1")}, {Kind: "a", Name: "n", Body: []byte("1")}}, nil),
			tx.ChangeObjects(other, []booking.Object{{Kind: "a", Name: "n", Body: []byte("2")}}, []booking.ObjectID{id("a", "nobody")}),
		)
	}))
	look := func(since uint64, revision uint64, objects, removed string) {
		t.Helper()
		must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
			r, err := tx.Revision(other)
			if err != nil || r != revision {
				t.Errorf("revision %d %v", r, err)
			}
			list, err := tx.Objects(other)
			if got := fmt.Sprintf("%v", list); err != nil || got != objects {
				t.Errorf("objects %s %v", got, err)
			}
			gone, err := tx.RemovedSince(other, since)
			if got := fmt.Sprintf("%v", gone); got != removed {
				t.Errorf("removed %s", got)
			}
			return err
		}))
	}
	look(0, 2, "[{a n 2 [50]} {b n 1 [49]}]", "[]")
	must(t, l.update(func(tx booking.Tx) error {
		return tx.ChangeObjects(other, nil, []booking.ObjectID{id("a", "n"), id("b", "n")})
	}))
	look(0, 3, "[]", "[{a n 3 []} {b n 3 []}]")
	look(3, 3, "[]", "[]")
	// What is put back is not gone any more.
	must(t, l.update(func(tx booking.Tx) error {
		return tx.ChangeObjects(other, []booking.Object{{Kind: "a", Name: "n", Body: []byte("3")}}, nil)
	}))
	look(0, 4, "[{a n 4 [51]}]", "[{b n 3 []}]")
	must(t, l.update(func(tx booking.Tx) error { return tx.ChangeObjects(other, nil, []booking.ObjectID{id("a", "n")}) }))
	look(4, 5, "[]", "[{a n 5 []}]")
}

func testPlaces(t *testing.T, l *lab) {
	other := record("o", 10, 20)
	other.Experiment = "y"
	cancelled := record("c", 40, 50)
	cancelled.CancelledAt = noon
	must(t, l.update(func(tx booking.Tx) error {
		return errors.Join(tx.Insert(record("a", 10, 20)), tx.Insert(record("past", -10, 0)), tx.Insert(record("next", 20, 30)), tx.Insert(other), tx.Insert(cancelled))
	}))
	live := func() (ids []string) {
		must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
			list, err := tx.Live(tenant, at(0))
			ids = nil
			for _, b := range list {
				ids = append(ids, b.ID+"@"+b.Experiment)
			}
			return err
		}))
		return ids
	}
	if got := fmt.Sprint(live()); got != "[a@x o@y next@x]" {
		t.Errorf("live: %s", got)
	}
	move := func(id, to string, version uint64) error {
		return l.update(func(tx booking.Tx) error {
			r, err := tx.Booking(tenant, id)
			if err != nil {
				return err
			}
			r.Experiment, r.Slot, r.UISet, r.Version = to, "s-"+to, "u-"+to, version
			return tx.Move(r.Booking)
		})
	}
	wantIs(t, move("a", "y", 1), booking.ErrOverlap)
	must(t, move("next", "y", 1))
	wantIs(t, move("next", "z", 1), booking.ErrStale)
	must(t, move("a", "z", 1))
	if got := fmt.Sprint(live()); got != "[a@z o@y next@y]" {
		t.Errorf("after the moves: %s", got)
	}
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		r, err := tx.Booking(tenant, "a")
		if r.Slot != "s-z" || r.UISet != "u-z" || r.Version != 2 || !r.End.Equal(at(20)) {
			t.Errorf("moved: %+v", r.Booking)
		}
		busy, busyErr := tx.Busy(tenant, "x", "", span(0, 100), 9)
		if len(busy) != 0 {
			t.Errorf("the diary that was left: %v", busy)
		}
		return errors.Join(err, busyErr)
	}))
}
