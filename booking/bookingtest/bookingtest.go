// Package bookingtest holds every booking.Store to one contract: the store's own
// (store.go), and what a Desk promises on top of it (the other files), since it
// is the store's isolation that makes those promises hold.
package bookingtest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/deploy/samples"
)

// A Harness gives the suite stores to test.
type Harness struct {
	// Open opens a store, an empty one the first time. The returned function
	// closes it; opening again after that finds what was stored.
	Open func(t *testing.T) func() (booking.Store, func())
}

// Run runs the whole suite.
func Run(t *testing.T, h Harness) {
	tests := map[string]func(*testing.T, *lab){
		"Objects":                    testObjects,
		"Places":                     testPlaces,
		"DiaryRefusesOverlap":        testDiaryRefusesOverlap,
		"DiaryOfOne":                 testDiaryFindsWhatReachesIn,
		"SaveComparesVersions":       testSaveComparesVersions,
		"Owners":                     testOwners,
		"Reassign":                   testReassign,
		"Sec45_Anonymise":            testAnonymise,
		"References":                 testReferences,
		"OutboxKeepsOrder":           testOutboxKeepsOrder,
		"FailedUpdateLeavesNothing":  testFailedUpdateLeavesNothing,
		"TenantsAreApart":            testTenantsAreApart,
		"ListIsTheEarliest":          testListIsTheEarliest,
		"Sec32_TenantsAreApart":      testSec32DeskTenants,
		"Apply":                      testApply,
		"PartialChange":              testPartialChange,
		"SyntheticCatalogue":         testSynthetic,
		"Prune":                      testPrune,
		"ApplyRefusals":              testApplyRefusals,
		"TwoApplies":                 testTwoApplies,
		"TouchedAndCancelled":        testTouchedAndCancelled,
		"TouchedAndMoved":            testTouchedAndMoved,
		"TouchedNoPlace":             testTouchedNoPlace,
		"Choices":                    testChoices,
		"WhatTouches":                testWhatTouches,
		"KeptWithOtherStreams":       testKeptWithOtherStreams,
		"StateInFile":                testStateInFile,
		"ReuploadKeepsDiaries":       testReuploadKeepsDiaries,
		"Overrides":                  testOverrides,
		"Bindings":                   testBindings,
		"Book":                       testBook,
		"BookRefusals":               testBookRefusals,
		"BackToBack":                 testBackToBack,
		"UnlimitedUsers":             testUnlimitedUsers,
		"NoDoubleBooking":            testNoDoubleBooking,
		"IdempotencyKey":             testIdempotencyKey,
		"MaxBookingsRace":            testMaxBookingsRace,
		"Extend":                     testExtend,
		"Cancel":                     testCancel,
		"Lists":                      testLists,
		"Availability":               testAvailability,
		"AvailabilityPages":          testAvailabilityPages,
		"AvailabilityOfOne":          testAvailabilityOverrides,
		"Suggestions":                testSuggestions,
		"States":                     testStates,
		"LookupFindsEverySpelling":   testLookupSpellings,
		"Sec33_LookupLimits":         testSec33Limits,
		"Sec33_ParallelGuesses":      testSec33ParallelGuesses,
		"Sec34_MissesAreAlike":       testSec34MissesAlike,
		"Sec34_LinkRequestsAreAlike": testSec34LinkRequestsAlike,
		"Sec35_NothingInPlain":       testSec35NothingInPlain,
		"DeadReferences":             testDeadReferences,
		"EffectsAreRetried":          testEffectsRetried,
		"EffectsInOrder":             testEffectsInOrder,
		"SilentEffectHoldsUpNobody":  testSilentEffect,
		"EverythingSurvivesReopened": testReopen,
		"Mails":                      testMails,
		"MailFollowsBookings":        testMailFollowsBookings,
		"MailsAmongNodes":            testMailsAmongNodes,
		"Reminders":                  testReminders,
		"PolicyReminders":            testPolicyReminders,
		"Links":                      testLinks,
		"Sec33_LinkLimits":           testSec33LinkLimits,
		"IfVersion":                  testIfVersion,
		"ExtensionOffers":            testExtensionOffers,
		"NoShow":                     testNoShow,
		"NoShowOnce":                 testNoShowOnce,
		"CameInTime":                 testCameInTime,
		"ArrivalsStore":              testArrivalsStore,
		"Rotate":                     testRotate,
		"Sec35_PepperRotation":       testPepperRotation,
		"LongReferences":             testLongReferences,
		"Pool":                       testPool,
		"PoolRefusals":               testPoolRefusals,
		"PoolMoves":                  testPoolMoves,
		"Party":                      testParty,
		"PartyAllOrNobody":           testPartyAllOrNobody,
		"PartyRefusals":              testPartyRefusals,
		"WaitsStore":                 testWaitsStore,
		"WaitIsTold":                 testWaitIsTold,
		"WaitingInOrder":             testWaitingInOrder,
		"WaitsEnd":                   testWaitsEnd,
		"WaitRefusals":               testWaitRefusals,
		"WaitAnotherWasFaster":       testWaitAnotherWasFaster,
		"Share":                      testShare,
		"ShareEnds":                  testShareEnds,
		"Control":                    testControl,
		"Sec45_ShareOfOne":           testShareOfOne,
	}
	maps.Copy(tests, practable)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, h)
			defer func() { l.close() }() // the last one: a test may reopen
			test(t, l)
		})
	}
}

const tenant = lodge.DefaultTenant

// noon is when the tests begin.
var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

var keys = booking.Keys{
	PepperID: "test", Pepper: bytes.Repeat([]byte{1}, 32), Seal: bytes.Repeat([]byte{2}, 32),
}

// A lab is a store with a desk on it, the sample catalogue and a clock by hand.
type lab struct {
	t       *testing.T
	open    func() (booking.Store, func())
	close   func()
	store   booking.Store
	clock   *clock
	effects *effects
	opts    booking.Options
	desk    *booking.Desk
}

func newLab(t *testing.T, h Harness) *lab {
	l := &lab{t: t, open: h.Open(t), clock: &clock{now: noon}, effects: &effects{}}
	l.opts = booking.Options{EffectWait: time.Minute, RetryEvery: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
	l.reopen()
	c, _, err := booking.ReadManifest(bytes.NewReader(samples.Lodge), "sample", false)
	must(t, err)
	must(t, l.desk.Apply(t.Context(), tenant, c))
	return l
}

// reopen closes the store if it is open, and opens it with a new desk.
func (l *lab) reopen() {
	l.t.Helper()
	if l.close != nil {
		l.close()
	}
	l.store, l.close = l.open()
	l.renew()
}

// renew makes a new desk with the lab's options.
func (l *lab) renew() {
	l.t.Helper()
	l.opts.Effects = l.effects
	desk, err := booking.NewDesk(l.store, keys, l.clock, l.opts)
	must(l.t, err)
	l.desk = desk
}

// run runs the desk until the returned function is called.
func (l *lab) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	desk := l.desk // the lab may get another one meanwhile
	wg.Go(func() {
		if err := desk.Run(ctx); err != nil {
			l.t.Error(err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (l *lab) update(fn func(tx booking.Tx) error) error {
	return l.store.Update(context.Background(), fn)
}

func (l *lab) book(req booking.Request) (booking.Booking, string) {
	l.t.Helper()
	b, reference, err := l.desk.Book(context.Background(), req)
	must(l.t, err)
	return b, reference
}

// ask is a request of a student for a pendulum for five minutes from now.
func ask(person string) booking.Request {
	return booking.Request{
		Tenant: tenant, Person: lodge.PersonID(person), Name: "Søren Ó Briain", Surname: "Ó Briain",
		Groups: []string{"everyone", "physics-1"}, Group: "everyone", Slot: "pend00-everyone", Length: 5 * time.Minute,
	}
}

// course is a request through the course's policy.
func course(person string, start time.Time, length time.Duration) booking.Request {
	r := ask(person)
	r.Group, r.Slot, r.Start, r.Length = "physics-1", "pend01-physics-1", start, length
	return r
}

type clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// effects records what was carried out, and fails as it is told.
type effects struct {
	mu   sync.Mutex
	done []booking.Effect                            // guarded by mu
	fail func(context.Context, booking.Effect) error // guarded by mu
}

func (e *effects) Carry(ctx context.Context, eff booking.Effect) error {
	e.mu.Lock()
	fail := e.fail
	e.mu.Unlock()
	if fail != nil {
		if err := fail(ctx, eff); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	// Desks of one process that share a store without claims may each carry it out,
	// which must make no difference.
	if !slices.ContainsFunc(e.done, func(o booking.Effect) bool { return o.ID == eff.ID }) {
		e.done = append(e.done, eff)
	}
	return nil
}

func (e *effects) failing(fn func(context.Context, booking.Effect) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fn
}

func (e *effects) kinds() []booking.EffectKind {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []booking.EffectKind
	for _, eff := range e.done {
		out = append(out, eff.Kind)
	}
	return out
}

// await polls until ok, which must come within seconds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("did not come: %s", what)
		case <-tick.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantIs(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want %v", err, target)
	}
}

// wantCode fails unless err has a code, and returns its details.
func wantCode(t *testing.T, err error, code lodge.Code) map[string]any {
	t.Helper()
	if lodge.CodeOf(err) != code {
		t.Fatalf("error %v (%s), want %s", err, lodge.CodeOf(err), code)
	}
	e, _ := errors.AsType[*lodge.Error](err)
	if e.Safe == "" {
		t.Fatalf("error %v says nothing to its reader", err)
	}
	return e.Details
}
