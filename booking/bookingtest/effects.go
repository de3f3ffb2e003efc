package bookingtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

var errDown = errors.New("down")

func down(context.Context, booking.Effect) error { return errDown }

// What could not be carried out is never reported as done, is retried, and is
// done under the same id.
func testEffectsRetried(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	var ids []string
	l.effects.failing(func(_ context.Context, e booking.Effect) error { ids = append(ids, e.ID); return errDown })
	got, err := l.desk.Cancel(t.Context(), tenant, b.ID, "why")
	if d := wantCode(t, err, lodge.CodeUnavailable); d["pending"] != true {
		t.Errorf("details %v", d)
	}
	wantIs(t, err, errDown)
	if got.State != booking.Cancelled {
		t.Errorf("the cancellation does not stand: %+v", got)
	}
	// Cancelling again does not report success either.
	_, err = l.desk.Cancel(t.Context(), tenant, b.ID, "why")
	wantCode(t, err, lodge.CodeUnavailable)
	l.effects.failing(nil)
	l.clock.move(time.Minute) // past the pause
	stop := l.run()
	defer stop()
	await(t, "the cancellation's effect", func() bool {
		return slices.Equal(l.effects.kinds(), []booking.EffectKind{"booked", "cancelled"})
	})
	e := l.effects.done[1]
	if len(ids) != 2 || ids[0] != e.ID || ids[1] != e.ID || e.Reason != "why" || e.Booking.State != booking.Cancelled {
		t.Errorf("carried out %+v after tries %v", e, ids)
	}
	must(t, errors.Join(second(l.desk.Cancel(t.Context(), tenant, b.ID, "why"))))
}

func second[A any](_ A, err error) error { return err }

func testEffectsInOrder(t *testing.T, l *lab) {
	l.effects.failing(down)
	b, reference, err := l.desk.Book(t.Context(), ask("ada"))
	wantCode(t, err, lodge.CodeUnavailable)
	if b.ID == "" || reference == "" {
		t.Error("a booking that stands was not returned")
	}
	_, err = l.desk.Extend(t.Context(), tenant, b.ID, 5*time.Minute)
	wantCode(t, err, lodge.CodeUnavailable)
	l.effects.failing(nil)
	// The next change carries out what is left over before its own effect.
	_, err = l.desk.Cancel(t.Context(), tenant, b.ID, "")
	must(t, err)
	if got := l.effects.kinds(); !slices.Equal(got, []booking.EffectKind{"booked", "extended", "cancelled"}) {
		t.Errorf("effects %v", got)
	}
}

// One effect that hangs holds up neither other bookings nor its own caller for
// ever.
func testSilentEffect(t *testing.T, l *lab) {
	l.opts.EffectWait = 3 * time.Second
	l.renew()
	stop := l.run()
	defer stop()
	hung := make(chan struct{}, 100)
	l.effects.failing(func(ctx context.Context, e booking.Effect) error {
		if e.Booking.Owner != "ada" {
			return nil
		}
		hung <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	result := make(chan error, 1)
	go func() { result <- second(second3(l.desk.Book(t.Context(), ask("ada")))) }()
	<-hung
	l.book(course("soren", time.Time{}, 5*time.Minute))
	wantCode(t, <-result, lodge.CodeUnavailable)
	l.clock.move(time.Minute) // past the pause
	<-hung                    // retried
	l.book(course("curie", at(30), 5*time.Minute))
}

func second3[A, B any](_ A, b B, err error) (B, error) { return b, err }

// Nothing that matters lives in memory only.
func testReopen(t *testing.T, l *lab) {
	b, reference := l.book(ask("ada"))
	b, err := l.desk.Extend(t.Context(), tenant, b.ID, 5*time.Minute)
	must(t, err)
	u, _ := l.book(course("ada", at(20), 30*time.Minute))
	must(t, l.desk.SetState(t.Context(), tenant, "pend02", false, "oil", "linus"))
	l.clock.move(30 * time.Minute)
	l.effects.failing(down)
	u, err = l.desk.Cancel(t.Context(), tenant, u.ID, "late")
	wantCode(t, err, lodge.CodeUnavailable)
	l.effects.failing(nil)
	l.reopen()

	for _, want := range []booking.Booking{b, u} {
		want.State = want.StateAt(l.clock.Now())
		got, err := l.desk.Get(t.Context(), tenant, want.ID)
		if err != nil || got != want {
			t.Errorf("kept %+v %v, want %+v", got, err, want)
		}
	}
	if got, err := l.desk.Reference(t.Context(), b); got != reference || err != nil {
		t.Errorf("reference %q %v", got, err)
	}
	if got, err := l.lookup("obriain", reference, "192.0.2.1"); err != nil || got.ID != b.ID {
		t.Errorf("lookup %+v %v", got, err)
	}
	if s, err := l.desk.State(t.Context(), tenant, "pend02"); err != nil || s.Online || s.Reason != "oil" {
		t.Errorf("state %+v %v", s, err)
	}
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		_, charged, err := tx.Tally(tenant, "ada", "physics-1", l.clock.Now())
		if charged != 10*time.Minute {
			t.Errorf("usage %v", charged)
		}
		return err
	}))
	l.clock.move(time.Minute)
	stop := l.run()
	defer stop()
	await(t, "the effect from before", func() bool {
		kinds := l.effects.kinds()
		return len(kinds) > 0 && kinds[len(kinds)-1] == booking.EffectCancelled
	})
}
