package bookingtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func at(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }

func span(from, until int) booking.Interval { return booking.Interval{Start: at(from), End: at(until)} }

// record is a stored booking of experiment x.
func record(id string, from, until int) booking.Record {
	return booking.Record{
		Booking: booking.Booking{
			ID: id, Tenant: tenant, Owner: "p", OwnerName: "Name", Surname: "Surname", Experiment: "x", Slot: "s", Policy: "q",
			Group: "g", UISet: "u", Start: at(from), End: at(until), Exclusive: true, CreatedAt: noon,
			Charged: time.Duration(until-from) * time.Minute, Version: 1,
		},
		MadeFor: "p", Sealed: []byte("sealed"), SealedKey: "k",
	}
}

func testDiaryRefusesOverlap(t *testing.T, l *lab) {
	insert := func(r booking.Record) error {
		return l.update(func(tx booking.Tx) error { return tx.Insert(r) })
	}
	must(t, insert(record("a", 10, 20)))
	for i, s := range []booking.Interval{span(10, 20), span(5, 11), span(19, 30), span(0, 60), span(12, 13)} {
		r := record(fmt.Sprint("o", i), 0, 1)
		r.Start, r.End = s.Start, s.End
		wantIs(t, insert(r), booking.ErrOverlap)
		r.ID, r.Exclusive = fmt.Sprint("u", i), false
		must(t, insert(r))
		r.ID, r.Exclusive, r.Experiment = fmt.Sprint("y", i), true, fmt.Sprint("y", i)
		must(t, insert(r))
	}
	must(t, insert(record("before", 5, 10)))
	must(t, insert(record("after", 20, 25)))

	save := func(id string, change func(*booking.Booking)) error {
		return l.update(func(tx booking.Tx) error {
			r, err := tx.Booking(tenant, id)
			if err != nil {
				return err
			}
			change(&r.Booking)
			return tx.Save(r.Booking)
		})
	}
	wantIs(t, save("a", func(b *booking.Booking) { b.End = at(21) }), booking.ErrOverlap)
	must(t, save("after", func(b *booking.Booking) { b.CancelledAt = noon }))
	must(t, save("a", func(b *booking.Booking) { b.End = at(21) }))
}

// An interval that began long before may be the one that is in the way.
func testDiaryFindsWhatReachesIn(t *testing.T, l *lab) {
	must(t, l.update(func(tx booking.Tx) error {
		return errors.Join(tx.Insert(record("long", 0, 1000)), tx.Insert(record("next", 1000, 1001)), tx.Insert(record("late", 1500, 1600)))
	}))
	busy := func(within booking.Interval, except string, limit int) (list []booking.Interval) {
		must(t, l.store.View(t.Context(), func(tx booking.Tx) (err error) {
			list, err = tx.Busy(tenant, "x", except, within, limit)
			return err
		}))
		return list
	}
	for _, c := range []struct {
		within booking.Interval
		except string
		limit  int
		want   []booking.Interval
	}{
		{span(999, 1001), "", 9, []booking.Interval{span(0, 1000), span(1000, 1001)}},
		{span(999, 1001), "long", 9, []booking.Interval{span(1000, 1001)}},
		{span(0, 2000), "", 2, []booking.Interval{span(0, 1000), span(1000, 1001)}},
		{span(0, 2000), "next", 9, []booking.Interval{span(0, 1000), span(1500, 1600)}},
		{span(1001, 1500), "", 9, nil},
		{span(-10, 0), "", 9, nil},
	} {
		if got := busy(c.within, c.except, c.limit); !slices.Equal(got, c.want) {
			t.Errorf("within %v except %q: %v, want %v", c.within, c.except, got, c.want)
		}
		if c.except != "" {
			continue
		}
		must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
			diaries, err := tx.Diaries(tenant, []string{"nothing", "x"}, c.within, c.limit)
			got := diaries["x"]
			slices.SortFunc(got, func(a, b booking.Interval) int { return a.Start.Compare(b.Start) })
			if !slices.Equal(got, c.want) || len(diaries["nothing"]) > 0 {
				t.Errorf("diaries within %v: %v, want %v", c.within, diaries, c.want)
			}
			return err
		}))
	}
}

func testSaveComparesVersions(t *testing.T, l *lab) {
	r := record("a", 0, 10)
	r.Key, r.Digest = []byte("key"), []byte("digest")
	must(t, l.update(func(tx booking.Tx) error { return tx.Insert(r) }))
	b := r.Booking
	b.End, b.Charged, b.CancelReason = at(12), 12*time.Minute, "why"
	must(t, l.update(func(tx booking.Tx) error { return tx.Save(b) }))
	wantIs(t, l.update(func(tx booking.Tx) error { return tx.Save(b) }), booking.ErrStale)
	b.ID, b.Start, b.End = "nobody", at(40), at(50)
	wantIs(t, l.update(func(tx booking.Tx) error { return tx.Save(b) }), booking.ErrStale)
	twice := record("b", 20, 30)
	twice.Key = r.Key
	wantIs(t, l.update(func(tx booking.Tx) error { return tx.Insert(twice) }), booking.ErrExists)
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		got, err := tx.ByKey(tenant, "p", r.Key)
		want := r
		want.End, want.Charged, want.CancelReason, want.Version = at(12), 12*time.Minute, "why", 2
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("stored %+v, want %+v", got, want)
		}
		_, none := tx.ByKey(tenant, "q", r.Key)
		wantIs(t, none, booking.ErrUnknown)
		_, none = tx.Booking(tenant, "nobody")
		wantIs(t, none, booking.ErrUnknown)
		return err
	}))
}

func testReferences(t *testing.T, l *lab) {
	fold := func(s string) [][]byte { return [][]byte{[]byte(s), []byte(s + "2")} }
	must(t, l.update(func(tx booking.Tx) error {
		return errors.Join(tx.Insert(record("a", 0, 10)), tx.Insert(record("b", 10, 20)),
			tx.AddReference(tenant, "a", "k", []byte("ref-a"), fold("a")), tx.AddReference(tenant, "b", "k", []byte("ref-b"), fold("b")))
	}))
	wantIs(t, l.update(func(tx booking.Tx) error {
		return tx.AddReference(tenant, "c", "k", []byte("ref-a"), fold("c"))
	}), booking.ErrExists)
	find := func(f, want string) {
		t.Helper()
		must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
			got, err := tx.FindFold(tenant, []byte(f))
			if got != want || (want == "") != errors.Is(err, booking.ErrUnknown) {
				t.Errorf("fold %s: %q %v", f, got, err)
			}
			return nil
		}))
	}
	find("a2", "a")
	find("c", "")
	must(t, l.update(func(tx booking.Tx) error {
		return errors.Join(tx.SetRate(tenant, []byte("old"), at(5)), tx.SetRate(tenant, []byte("new"), at(25)), tx.SetRate(tenant, []byte("new"), at(26)))
	}))
	must(t, l.update(func(tx booking.Tx) error {
		n, err := tx.Forget(at(15), at(20))
		if n != 1 {
			t.Errorf("forgot %d, want 1", n)
		}
		return err
	}))
	find("a", "")
	find("a2", "")
	find("b2", "b")
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		a, err := tx.Booking(tenant, "a")
		if a.Sealed != nil {
			t.Error("the sealed copy of a dead reference is still there")
		}
		for key, want := range map[string]time.Time{"old": {}, "new": at(26)} {
			got, err := tx.Rate(tenant, []byte(key))
			if err != nil || !got.Equal(want) {
				t.Errorf("rate %s: %v %v", key, got, err)
			}
		}
		return err
	}))
}

func testOutboxKeepsOrder(t *testing.T, l *lab) {
	e := func(id string) booking.Effect {
		return booking.Effect{ID: id, Tenant: tenant, Kind: booking.EffectBooked, Booking: booking.Booking{ID: "b"}, Experiment: "x", Reason: "r", At: noon}
	}
	must(t, l.update(func(tx booking.Tx) error {
		return errors.Join(tx.Enqueue("s1", e("z")), tx.Enqueue("s1", e("a")), tx.Enqueue("s2", e("m")))
	}))
	due := func(m, limit int) (list []booking.Subject) {
		must(t, l.store.View(t.Context(), func(tx booking.Tx) (err error) {
			list, err = tx.Due(at(m), limit)
			return err
		}))
		return list
	}
	s1, s2 := booking.Subject{Tenant: tenant, Name: "s1"}, booking.Subject{Tenant: tenant, Name: "s2"}
	if got := due(0, 9); !slices.Equal(got, []booking.Subject{s1, s2}) {
		t.Errorf("due %v", got)
	}
	must(t, l.update(func(tx booking.Tx) error {
		first, tries, err := tx.Next(tenant, "s1")
		if err != nil || tries != 0 || fmt.Sprintf("%+v", first) != fmt.Sprintf("%+v", e("z")) {
			t.Errorf("next %+v %d %v", first, tries, err)
		}
		return tx.Postpone(tenant, "z", at(5))
	}))
	// The second of a subject does not overtake the first.
	if got := due(4, 9); !slices.Equal(got, []booking.Subject{s2}) {
		t.Errorf("due %v", got)
	}
	if got := due(5, 1); len(got) != 1 {
		t.Errorf("due %v", got)
	}
	must(t, l.update(func(tx booking.Tx) error {
		if _, tries, err := tx.Next(tenant, "s1"); tries != 1 {
			t.Errorf("tries %d %v", tries, err)
		}
		if err := tx.Done(tenant, "z"); err != nil {
			return err
		}
		if next, _, err := tx.Next(tenant, "s1"); next.ID != "a" {
			t.Errorf("after z: %+v %v", next, err)
		}
		if err := tx.Done(tenant, "a"); err != nil {
			return err
		}
		return nil
	}))
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		_, _, err := tx.Next(tenant, "s1")
		wantIs(t, err, booking.ErrUnknown)
		return nil
	}))
}

func testFailedUpdateLeavesNothing(t *testing.T, l *lab) {
	boom := errors.New("boom")
	wantIs(t, l.update(func(tx booking.Tx) error {
		return errors.Join(tx.Insert(record("a", 0, 10)), tx.AddReference(tenant, "a", "k", []byte("r"), [][]byte{[]byte("f")}),
			tx.SetExperimentState(tenant, booking.ExperimentState{Experiment: "x"}), boom)
	}), boom)
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		_, err := tx.Booking(tenant, "a")
		wantIs(t, err, booking.ErrUnknown)
		_, err = tx.FindFold(tenant, []byte("f"))
		wantIs(t, err, booking.ErrUnknown)
		_, err = tx.ExperimentState(tenant, "x")
		wantIs(t, err, booking.ErrUnknown)
		return nil
	}))
}

// testListIsTheEarliest: a list that is bounded holds those that begin first,
// whoever or whatever they are of.
func testListIsTheEarliest(t *testing.T, l *lab) {
	must(t, l.update(func(tx booking.Tx) error {
		return errors.Join(tx.Insert(record("c", 20, 30)), tx.Insert(record("a", 40, 50)), tx.Insert(record("b", 0, 10)))
	}))
	one := record("b", 0, 10)
	for name, f := range map[string]booking.Filter{
		"all": {}, "owner": {Owner: one.Owner}, "experiment": {Experiment: one.Experiment},
		"both": {Owner: one.Owner, Experiment: one.Experiment},
	} {
		for limit, want := range map[int]string{1: "b", 2: "bc", 3: "bca", 9: "bca"} {
			f.Limit = limit
			must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
				list, err := tx.List(tenant, f)
				got := ""
				for _, b := range list {
					got += b.ID
				}
				if got != want {
					t.Errorf("%s, at most %d: %q, want %q", name, limit, got, want)
				}
				return err
			}))
		}
	}
}

func testTenantsAreApart(t *testing.T, l *lab) {
	other := lodge.Tenant("other")
	r := record("a", 0, 10)
	foreign := r
	foreign.Tenant = other
	must(t, l.update(func(tx booking.Tx) error {
		return errors.Join(tx.Insert(r), tx.Insert(foreign),
			tx.AddReference(tenant, "a", "k", []byte("r"), [][]byte{[]byte("f")}), tx.AddReference(other, "a", "k", []byte("r"), nil))
	}))
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		_, err := tx.FindFold(other, []byte("f"))
		wantIs(t, err, booking.ErrUnknown)
		_, err = tx.Booking("third", "a")
		wantIs(t, err, booking.ErrUnknown)
		list, err := tx.List("third", booking.Filter{Limit: 9})
		if err != nil || len(list) != 0 {
			t.Errorf("list %v %v", list, err)
		}
		live, charged, err := tx.Tally("third", "p", "q", noon)
		if err != nil || live != 0 || charged != 0 {
			t.Errorf("tally %d %v %v", live, charged, err)
		}
		return nil
	}))
}
