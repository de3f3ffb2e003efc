package postgres

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/booking"
)

// What is read ahead answers the same reads until something is written, and no
// others.
func TestReadAhead(t *testing.T) {
	store := newBookings(open(t, fresh(t)))
	state := func(online bool) booking.ExperimentState {
		return booking.ExperimentState{Experiment: "x", Online: online, Since: base}
	}
	err := store.Update(t.Context(), func(tx booking.Tx) error {
		if err := tx.SetExperimentState("t1", state(true)); err != nil {
			return err
		}
		line := tx.(bookingTx).line
		if err := tx.(booking.Aheader).Ahead(func(tx booking.Tx) {
			_, _ = tx.ExperimentState("t1", "x")
			_, _ = tx.ExperimentState("t1", "nothing")
			_, _ = tx.Busy("t1", "x", "", booking.Interval{Start: base, End: base.Add(time.Hour)}, 5)
		}); err != nil {
			return err
		}
		sent := line.sent
		for _, want := range []bool{true, false} {
			got, err := tx.ExperimentState("t1", "x")
			if err != nil || got != state(want) {
				t.Errorf("the state is %+v, %v", got, err)
			}
			if !want {
				break
			}
			if _, err := tx.ExperimentState("t1", "nothing"); !errors.Is(err, booking.ErrUnknown) {
				t.Errorf("the state of nothing: %v", err)
			}
			if busy, err := tx.Busy("t1", "x", "", booking.Interval{Start: base, End: base.Add(time.Hour)}, 5); err != nil || len(busy) > 0 {
				t.Errorf("the diary has %v, %v", busy, err)
			}
			if line.sent != sent {
				t.Error("what was read ahead was read again")
			}
			if err := tx.SetExperimentState("t1", state(false)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An update that went on as if a write had come out otherwise than it did is undone
// and run again, with the error in its place; others in its transaction stay.
func TestWritesThatComeOutOtherwise(t *testing.T) {
	store := newBookings(open(t, fresh(t)))
	add := func(tx booking.Tx, id, reference string) error {
		return tx.AddReference("t1", id, "1", []byte(reference), [][]byte{[]byte("fold of " + id)})
	}
	runs, last := 0, error(nil)
	updates := []*update{
		{fn: func(tx booking.Tx) error { return add(tx, "a", "taken") }},
		{fn: func(tx booking.Tx) error {
			runs++
			if last = add(tx, "b", "taken"); errors.Is(last, booking.ErrExists) {
				return add(tx, "b", "free")
			}
			return last
		}},
		{fn: func(tx booking.Tx) error { return errors.Join(add(tx, "c", "gone"), booking.ErrStale) }},
		{fn: func(booking.Tx) error { return booking.ErrStale }},
		{fn: func(tx booking.Tx) error { return add(tx, "d", "other") }},
	}
	for _, u := range updates {
		u.ctx = t.Context()
	}
	if err := store.updates.transact(updates, false); err != nil {
		t.Fatal(err)
	}
	var errs []error
	for _, u := range updates {
		errs = append(errs, u.err)
	}
	if runs != 2 || !errors.Is(last, booking.ErrExists) {
		t.Errorf("it ran %d times, the last time with %v", runs, last)
	}
	if want := []error{nil, nil, errs[2], booking.ErrStale, nil}; !slices.Equal(errs, want) || !errors.Is(errs[2], booking.ErrStale) {
		t.Errorf("the errors are %v", errs)
	}
	err := store.View(t.Context(), func(tx booking.Tx) error {
		for id, want := range map[string]error{"a": nil, "b": nil, "c": booking.ErrUnknown, "d": nil} {
			if got, err := tx.FindFold("t1", []byte("fold of "+id)); !errors.Is(err, want) || err == nil && got != id {
				t.Errorf("the fold of %s finds %q, %v", id, got, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
