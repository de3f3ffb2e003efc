package bookingtest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// testIfVersion: what was changed since it was read is not changed again unseen.
func testIfVersion(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	_, err := l.desk.Extend(t.Context(), tenant, b.ID, time.Minute, booking.IfVersion(b.Version+1))
	if d := wantCode(t, err, lodge.CodeConflict); d["rule"] != "version" {
		t.Errorf("extended by %v", d)
	}
	longer, err := l.desk.Extend(t.Context(), tenant, b.ID, time.Minute, booking.IfVersion(b.Version))
	must(t, err)
	_, _, err = l.desk.Rotate(t.Context(), tenant, b.ID, booking.IfVersion(b.Version))
	wantCode(t, err, lodge.CodeConflict)
	_, err = l.desk.Cancel(t.Context(), tenant, b.ID, "", booking.IfVersion(b.Version))
	wantCode(t, err, lodge.CodeConflict)
	gone, err := l.desk.Cancel(t.Context(), tenant, b.ID, "", booking.IfVersion(7, longer.Version))
	must(t, err)
	// A cancellation that is repeated does nothing, so nothing is overwritten.
	again, err := l.desk.Cancel(t.Context(), tenant, b.ID, "", booking.IfVersion(longer.Version))
	if err != nil || again != gone {
		t.Errorf("cancelled again: %+v %v", again, err)
	}
}

// testExtensionOffers: each refusal names its rule, and the longest extension
// that is accepted where there is one.
func testExtensionOffers(t *testing.T, l *lab) {
	b, _ := l.book(course("ada", time.Time{}, 10*time.Minute))
	next, _ := l.book(course("soren", at(22), 10*time.Minute))
	refused := func(by time.Duration, rule string, code lodge.Code, offer booking.Interval) {
		t.Helper()
		_, err := l.desk.Extend(t.Context(), tenant, b.ID, by)
		d := wantCode(t, err, code)
		if got, _ := d["offer"].(booking.Opening); d["rule"] != rule || got.Interval != offer || got.Slot != "pend01-physics-1" && got.Slot != "" {
			t.Errorf("by %v: refused by %v, offered %v; want %s and %v", by, d["rule"], d["offer"], rule, offer)
		}
		if conflict, _ := d["conflict"].(booking.Interval); rule == "clash" && conflict != next.Interval() {
			t.Errorf("in the way is %v", conflict)
		}
	}
	refused(15*time.Minute, "clash", lodge.CodeConflict, span(0, 22))
	refused(time.Hour, "max_duration", lodge.CodeRefused, span(0, 22)) // the longest allowed meets the next one
	refused(0, "interval", lodge.CodeRefused, booking.Interval{})
	refused(time.Millisecond, "interval", lodge.CodeRefused, booking.Interval{})
	_, err := l.desk.Cancel(t.Context(), tenant, next.ID, "")
	must(t, err)
	refused(time.Hour, "max_duration", lodge.CodeRefused, span(0, 60))
	for _, want := range []int{12, 22} {
		must(t, errOf(l.desk.Extend(t.Context(), tenant, b.ID, time.Duration(want-10)*time.Minute/2)))
	}
}

func errOf(_ booking.Booking, err error) error { return err }

// testNoShow: what nobody came to is cancelled a grace period after its start,
// and charged that and the penalty, also by a desk that started later.
func testNoShow(t *testing.T, l *lab) {
	b, _ := l.book(course("ada", at(10), 30*time.Minute))
	if !b.ComeBy.Equal(at(15)) {
		t.Fatalf("to come by %v", b.ComeBy)
	}
	late, _ := l.book(course("soren", at(60), 4*time.Minute+59*time.Second+time.Second))
	if !late.ComeBy.IsZero() {
		t.Errorf("a booking that ends with its grace period is to be come to by %v", late.ComeBy)
	}
	noRule, _ := l.book(ask("grace"))
	if !noRule.ComeBy.IsZero() {
		t.Errorf("without the rule it is to be come to by %v", noRule.ComeBy)
	}
	stop := l.run()
	l.clock.move(15*time.Minute - time.Second)
	stop()
	if got, err := l.desk.Get(t.Context(), tenant, b.ID); err != nil || got.State != booking.Booked {
		t.Errorf("before the grace period is over: %+v %v", got, err)
	}
	l.clock.move(time.Second)
	l.reopen()
	defer l.run()()
	await(t, "a no-show is cancelled", func() bool {
		got, err := l.desk.Get(t.Context(), tenant, b.ID)
		return err == nil && got.State == booking.Cancelled
	})
	got, err := l.desk.Get(t.Context(), tenant, b.ID)
	must(t, err)
	if got.Charged != 10*time.Minute || got.CancelReason != "Nobody came within 5m of the start." || !got.ComeBy.IsZero() || !got.CancelledAt.Equal(at(15)) {
		t.Errorf("no-show %+v", got)
	}
	l.book(course("linus", at(15), 10*time.Minute)) // it is free for others
	await(t, "its effect", func() bool { return slices.Contains(l.effects.kinds(), booking.EffectCancelled) })
}

// testNoShowOnce: however many desks look, it is charged and told once.
func testNoShowOnce(t *testing.T, l *lab) {
	b, _ := l.book(course("ada", time.Time{}, 30*time.Minute))
	l.clock.move(5 * time.Minute)
	var stops []func()
	for range 4 {
		l.renew()
		stops = append(stops, l.run())
	}
	await(t, "its effect", func() bool { return slices.Contains(l.effects.kinds(), booking.EffectCancelled) })
	for _, stop := range stops {
		stop()
	}
	got, err := l.desk.Get(t.Context(), tenant, b.ID)
	if err != nil || got.Version != b.Version+1 || got.Charged != 10*time.Minute {
		t.Errorf("%+v %v", got, err)
	}
	if kinds := l.effects.kinds(); !slices.Equal(kinds, []booking.EffectKind{booking.EffectBooked, booking.EffectCancelled}) {
		t.Errorf("effects %v", kinds)
	}
}

// testCameInTime: whoever came is no no-show, whoever was faster; and nobody can
// come to what is off-line.
func testCameInTime(t *testing.T, l *lab) {
	b, _ := l.book(course("ada", time.Time{}, 30*time.Minute))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := l.desk.Came(t.Context(), b); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := l.desk.Get(t.Context(), tenant, b.ID)
	if err != nil || !got.CameAt.Equal(noon) || !got.ComeBy.IsZero() || got.Version != b.Version {
		t.Errorf("came: %+v %v", got, err)
	}
	l.clock.move(time.Minute)
	must(t, l.desk.Came(t.Context(), b))
	if again, err := l.desk.Get(t.Context(), tenant, b.ID); err != nil || again != got {
		t.Errorf("came again: %+v %v", again, err)
	}
	b.ID = "nothing"
	wantCode(t, l.desk.Came(t.Context(), b), lodge.CodeNotFound)

	req := course("soren", time.Time{}, 30*time.Minute)
	req.Slot = "pend00-physics-1"
	off, _ := l.book(req)
	must(t, l.desk.SetState(t.Context(), tenant, "pend00", false, "motor", ""))
	defer l.run()()
	l.clock.move(6 * time.Minute)
	await(t, "nobody is awaited", func() bool {
		b, err := l.desk.Get(t.Context(), tenant, off.ID)
		return err == nil && b.ComeBy.IsZero()
	})
	if b, err := l.desk.Get(t.Context(), tenant, off.ID); err != nil || b.State != booking.Booked {
		t.Errorf("of an experiment that is off-line: %+v %v", b, err)
	}
}

func testArrivalsStore(t *testing.T, l *lab) {
	insert := func(id string, from, by int) {
		r := record(id, from, from+30)
		r.ComeBy, r.Pool = at(by), "pool"
		must(t, l.update(func(tx booking.Tx) error { return tx.Insert(r) }))
	}
	insert("b", 40, 45)
	insert("a", 0, 5)
	insert("c", 80, 85)
	check := func(m, limit int, want ...string) {
		t.Helper()
		must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
			due, err := tx.Awaited(at(m), limit)
			var got []string
			for _, a := range due {
				got = append(got, a.Booking)
			}
			if !slices.Equal(got, want) {
				t.Errorf("awaited at %d: %v, want %v", m, got, want)
			}
			return err
		}))
	}
	check(4, 9)
	check(5, 9, "a")
	check(50, 9, "a", "b")
	check(50, 1, "a")
	must(t, l.update(func(tx booking.Tx) error {
		wantIs(t, tx.Came(tenant, "nobody", at(1)), booking.ErrUnknown)
		if err := tx.Came(tenant, "a", at(1)); err != nil {
			return err
		}
		return tx.Came(tenant, "a", at(2))
	}))
	check(50, 9, "b")
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		r, err := tx.Booking(tenant, "a")
		if !r.CameAt.Equal(at(1)) || !r.ComeBy.IsZero() || r.Version != 1 || r.Pool != "pool" {
			t.Errorf("stored %+v", r)
		}
		return err
	}))
}
