package bookingtest

import (
	"errors"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// testAnonymise: a booking stays where it is and tells of nobody.
func testAnonymise(t *testing.T, l *lab) {
	owned := func(id string, owner, madeFor lodge.PersonID, from int) booking.Record {
		r := record(id, from, from+1)
		r.Owner, r.MadeFor, r.OwnerName, r.Surname = owner, madeFor, "Ada Lovelace", "Lovelace"
		r.Sealed, r.SealedKey = []byte("sealed"), "1"
		return r
	}
	fold := func(id string) []byte { return []byte("fold of " + id) }
	must(t, l.update(func(tx booking.Tx) error {
		for _, r := range []booking.Record{owned("a", "p", "p", 0), owned("b", "p", "q", 1), owned("c", "q", "p", 2), owned("d", "q", "q", 3)} {
			err := errors.Join(tx.Insert(r), tx.AddReference(tenant, r.ID, "1", []byte("reference of "+r.ID), [][]byte{fold(r.ID)}))
			if err != nil {
				return err
			}
		}
		return nil
	}))
	for range 2 {
		must(t, l.update(func(tx booking.Tx) error {
			n, err := tx.Anonymise(tenant, "p")
			if n != 3 {
				t.Errorf("%d bookings, want 3", n)
			}
			return err
		}))
	}
	must(t, l.update(func(tx booking.Tx) error {
		for id, gone := range map[string]bool{"a": true, "b": true, "c": true, "d": false} {
			r, err := tx.Booking(tenant, id)
			if err != nil {
				return err
			}
			if nameless := r.OwnerName == "" && r.Surname == "" && r.Sealed == nil; nameless != gone || r.Experiment == "" || r.Owner == "" {
				t.Errorf("%s: %+v", id, r)
			}
			if gone == (r.Version == 1) {
				t.Errorf("%s has version %d", id, r.Version)
			}
			found, err := tx.FindFold(tenant, fold(id))
			if gone && !errors.Is(err, booking.ErrUnknown) || !gone && (err != nil || found != id) {
				t.Errorf("looking %s up: %q, %v", id, found, err)
			}
		}
		return nil
	}))
}
