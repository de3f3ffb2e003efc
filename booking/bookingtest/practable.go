package bookingtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
)

// practable are the faults of practable's booking system that lie in how bookings
// are decided and kept: each is named for the fault, which must not be here. Those
// of its interface are in the gateway's test of the same name.
var practable = map[string]func(*testing.T, *lab){
	"Practable_ReuploadedManifestEmptiesDiaries":    testPractableReupload,
	"Practable_InvertedIntervalGivesUsageBack":      testPractableInverted,
	"Practable_BackToBackBookingsClash":             testPractableBackToBack,
	"Practable_MinAboveMaxIsAccepted":               testPractableMinAboveMax,
	"Practable_SlotOfAnotherPolicyIsAccepted":       testPractableSlotElsewhere,
	"Practable_OneLockIsHeldWhileTheRelayIsSilent":  testPractableOneLock,
	"Practable_RefusedCancellationIsReportedAsDone": testPractableReportedAsDone,
	"Practable_SilentRelayBreaksLaterCancellations": testPractableSilentRelay,
	"Practable_RestartLosesBookingsUnderWay":        testPractableRestart,
	"Practable_AvailabilityTakesOneCallASlot":       testPractableOneCall,
	"Practable_OffsetPastTheEndIsAnError":           testPractablePastTheEnd,
	"Practable_ClosedIntervalsChargeAMomentTwice":   testPractableHalfOpen,
}

// The whole manifest takes the place of what was there, as when practable's users
// upload it.
func testPractableReupload(t *testing.T, l *lab) {
	upload := func() booking.Applied {
		ch, faults, err := booking.ReadChange(bytes.NewReader(samples.Practable), "manifest.yaml", false)
		if err != nil {
			t.Fatal(err, faults)
		}
		ch.Prune = true
		done, err := l.desk.ApplyChange(t.Context(), "practable", ch, booking.Decision{})
		must(t, err)
		return done
	}
	wish := func(person string) booking.Request {
		r := ask(person)
		r.Tenant = "practable"
		return r
	}
	upload()
	b, _ := l.book(wish("ada"))
	for range 2 {
		if done := upload(); len(done.Ops)+len(done.Outcomes) != 0 {
			t.Errorf("changed %v, touched %+v", done.Ops, done.Outcomes)
		}
	}
	_, _, err := l.desk.Book(t.Context(), wish("soren"))
	if d := wantCode(t, err, lodge.CodeConflict); d["conflict"] != b.Interval() {
		t.Errorf("the rig is taken by %v", d["conflict"])
	}
}

func (l *lab) charged(person, policy string) time.Duration {
	l.t.Helper()
	var charged time.Duration
	must(l.t, l.store.View(context.Background(), func(tx booking.Tx) (err error) {
		_, charged, err = tx.Tally(tenant, lodge.PersonID(person), policy, l.clock.Now())
		return err
	}))
	return charged
}

func testPractableInverted(t *testing.T, l *lab) {
	l.book(course("ada", at(10), 30*time.Minute))
	inverted := course("ada", at(60), 0)
	inverted.End = at(20)
	_, _, err := l.desk.Book(t.Context(), inverted)
	if d := wantCode(t, err, lodge.CodeRefused); d["rule"] != "interval" {
		t.Errorf("refused by %v", d)
	}
	if used := l.charged("ada", "physics-1"); used != 30*time.Minute {
		t.Errorf("charged %v", used)
	}
}

func testPractableBackToBack(t *testing.T, l *lab) {
	for i := range 3 {
		l.book(course([]string{"ada", "soren", "curie"}[i], at(5*i), 5*time.Minute))
	}
}

// faulted reads a manifest that is refused for one fault.
func faulted(t *testing.T, old, changed string) booking.Fault {
	t.Helper()
	text := bytes.Replace(samples.Practable, []byte(old), []byte(changed), 1)
	if bytes.Equal(text, samples.Practable) {
		t.Fatalf("the sample has no %q", old)
	}
	_, faults, err := booking.ReadChange(bytes.NewReader(text), "manifest.yaml", false)
	if err == nil || len(faults) != 1 || faults[0].Line == 0 {
		t.Fatalf("read with %+v, %v", faults, err)
	}
	return faults[0]
}

func testPractableMinAboveMax(t *testing.T, _ *lab) {
	if f := faulted(t, "min_duration: 3m", "min_duration: 30m"); f.Object != "policies.everyone" {
		t.Errorf("the fault is %+v", f)
	}
}

func testPractableSlotElsewhere(t *testing.T, _ *lab) {
	if f := faulted(t, "      - pend00-everyone\n", ""); f.Object != "slots.pend00-everyone" {
		t.Errorf("the fault is %+v", f)
	}
}

// While what follows from one booking waits for somebody silent, everybody else is
// served: readers, other bookings, other cancellations.
func testPractableOneLock(t *testing.T, l *lab) {
	mine, _ := l.book(ask("ada"))
	theirs, _ := l.book(course("soren", at(30), 10*time.Minute))
	waits, release := make(chan struct{}), make(chan struct{})
	l.effects.failing(func(_ context.Context, e booking.Effect) error {
		if e.Booking.ID == mine.ID {
			close(waits)
			<-release
		}
		return nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := l.desk.Cancel(context.Background(), tenant, mine.ID, "")
		done <- err
	}()
	<-waits
	if _, err := l.desk.Get(t.Context(), tenant, theirs.ID); err != nil {
		t.Error(err)
	}
	l.available(look("everyone"))
	l.book(ask("curie")) // what is being cancelled is free
	if _, err := l.desk.Cancel(t.Context(), tenant, theirs.ID, ""); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		t.Errorf("answered before it was done: %v", err)
	default:
	}
	close(release)
	must(t, <-done)
}

func testPractableReportedAsDone(t *testing.T, l *lab) {
	b, _ := l.book(ask("ada"))
	l.effects.failing(down)
	_, err := l.desk.Cancel(t.Context(), tenant, b.ID, "")
	wantCode(t, err, lodge.CodeUnavailable)
	l.effects.failing(nil)
	l.clock.move(time.Minute)
	stop := l.run()
	defer stop()
	await(t, "the cancellation", func() bool { return slices.Contains(l.effects.kinds(), booking.EffectCancelled) })
}

func testPractableSilentRelay(t *testing.T, l *lab) {
	silent, _ := l.book(ask("ada"))
	later, _ := l.book(course("soren", at(30), 10*time.Minute))
	l.effects.failing(func(_ context.Context, e booking.Effect) error {
		if e.Booking.ID == silent.ID {
			return errors.New("no answer")
		}
		return nil
	})
	_, err := l.desk.Cancel(t.Context(), tenant, silent.ID, "")
	wantCode(t, err, lodge.CodeUnavailable)
	if b, err := l.desk.Cancel(t.Context(), tenant, later.ID, ""); err != nil || b.State != booking.Cancelled {
		t.Errorf("the next: %+v %v", b, err)
	}
}

func testPractableRestart(t *testing.T, l *lab) {
	b, reference := l.book(ask("ada"))
	l.clock.move(2 * time.Minute)
	l.reopen()
	if got := l.get(b.ID); got.State != booking.Booked || got.Owner != "ada" {
		t.Errorf("after the restart: %+v", got)
	}
	if found, err := l.lookup("Ó Briain", reference, "192.0.2.1"); err != nil || found.ID != b.ID {
		t.Errorf("looked up: %+v %v", found, err)
	}
	_, _, err := l.desk.Book(t.Context(), ask("soren"))
	wantCode(t, err, lodge.CodeConflict)
	if _, err := l.desk.Extend(t.Context(), tenant, b.ID, 5*time.Minute); err != nil {
		t.Errorf("extended after the restart: %v", err)
	}
}

func testPractableOneCall(t *testing.T, l *lab) {
	page := l.available(look("physics-1"))
	if len(page.Slots) != 2 || page.More {
		t.Errorf("in one call: %+v", page)
	}
}

func testPractablePastTheEnd(t *testing.T, l *lab) {
	one := look("physics-1")
	one.After = "zzz"
	if page := l.available(one); len(page.Slots) != 0 || page.More {
		t.Errorf("behind the last: %+v", page)
	}
}

func testPractableHalfOpen(t *testing.T, l *lab) {
	b, _ := l.book(course("ada", at(0), 5*time.Minute))
	if b.Charged != 5*time.Minute || l.charged("ada", "physics-1") != 5*time.Minute {
		t.Errorf("charged %v", b.Charged)
	}
	l.clock.move(5 * time.Minute)
	if got := l.get(b.ID); got.State != booking.Ended {
		t.Errorf("at its end: %s", got.State)
	}
}
