package bookingtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func (l *lab) lookup(surname, reference, address string) (booking.Booking, error) {
	return l.desk.Lookup(l.t.Context(), tenant, surname, reference, address)
}

func testLookupSpellings(t *testing.T, l *lab) {
	b, reference := l.book(ask("soren"))
	for _, surname := range []string{"O’BRIAIN", "o briain", "obriain", "Ó Briain", " Ó-BRIAIN ", "O'Briain", "Briain"} {
		for _, typed := range []string{reference, strings.ToLower(reference), " " + reference[:3] + "-" + reference[3:] + " "} {
			got, err := l.lookup(surname, typed, "192.0.2.1")
			if err != nil || got != b {
				t.Errorf("%q: %+v %v", surname, got, err)
			}
		}
	}
}

// wrong returns a possible reference that is not the given one.
func wrong(reference string) string {
	i := strings.IndexByte(booking.Digits, reference[0])
	return string(booking.Digits[(i+1)%len(booking.Digits)]) + reference[1:]
}

func (l *lab) limit(limits booking.LookupLimits) {
	l.opts.Lookup = limits
	l.renew()
}

func testSec33Limits(t *testing.T, l *lab) {
	generous := booking.Rate{Burst: 1000, Every: time.Second}
	small := booking.Rate{Burst: 3, Every: time.Minute}
	b, reference := l.book(ask("soren"))

	for name, c := range map[string]struct {
		limits booking.LookupLimits
		miss   func(i int) (surname, address string)
		free   [2]string // surname, address that are not limited; empty: none is free
	}{
		"surname": {booking.LookupLimits{Surname: small, Address: generous, Overall: generous},
			func(i int) (string, string) { return "Ó Briain", fmt.Sprint("192.0.2.", i) }, [2]string{"Curie", "192.0.2.77"}},
		"address": {booking.LookupLimits{Surname: generous, Address: small, Overall: generous},
			func(i int) (string, string) { return fmt.Sprint("Name", i), fmt.Sprintf("2001:db8::%x", i) }, [2]string{"Curie", "2001:db8:0:1::1"}},
		"overall": {booking.LookupLimits{Surname: generous, Address: generous, Overall: small},
			func(i int) (string, string) { return fmt.Sprint("Other", i), fmt.Sprint("198.51.100.", i) }, [2]string{}},
	} {
		l.limit(c.limits)
		// What hits is free, and so is what cannot be.
		for range 10 {
			got, err := l.lookup("obriain", reference, "192.0.2.200")
			if err != nil || got.ID != b.ID {
				t.Fatalf("%s: %v", name, err)
			}
			surname, address := c.miss(1)
			_, err = l.lookup(surname, "AEIOU1", address)
			wantCode(t, err, lodge.CodeRefused)
		}
		for i := range 3 {
			surname, address := c.miss(i)
			_, err := l.lookup(surname, wrong(reference), address)
			wantCode(t, err, lodge.CodeNotFound)
		}
		refused := func() {
			t.Helper()
			surname, address := c.miss(4)
			_, err := l.lookup(surname, reference, address)
			wantCode(t, err, lodge.CodeTooMany)
			if e, _ := errors.AsType[*lodge.Error](err); e.RetryAfter != time.Minute {
				t.Errorf("%s: retry after %v", name, e.RetryAfter)
			}
		}
		refused()
		l.reopen() // the limits are kept
		refused()
		if c.free[0] != "" {
			_, err := l.lookup(c.free[0], reference, c.free[1])
			wantCode(t, err, lodge.CodeNotFound)
		}
		l.clock.move(time.Minute)
		surname, address := c.miss(4)
		_, err := l.lookup(surname, wrong(reference), address)
		wantCode(t, err, lodge.CodeNotFound)
		refused()
		l.clock.move(time.Hour)
	}
}

func testSec33ParallelGuesses(t *testing.T, l *lab) {
	_, reference := l.book(ask("soren"))
	l.limit(booking.LookupLimits{Surname: booking.Rate{Burst: 5, Every: time.Hour}})
	var wg sync.WaitGroup
	var tries atomic.Int32
	for range 64 {
		wg.Go(func() {
			if _, err := l.lookup("Ó Briain", wrong(reference), "192.0.2.1"); lodge.CodeOf(err) == lodge.CodeNotFound {
				tries.Add(1)
			}
		})
	}
	wg.Wait()
	if tries.Load() != 5 {
		t.Errorf("%d guesses in parallel under a limit of 5", tries.Load())
	}
}

// counting counts what a lookup does in the store.
type counting struct {
	booking.Store
	mu    sync.Mutex
	calls []string // guarded by mu
}

type countingTx struct {
	booking.Tx
	c *counting
}

func (c *counting) Update(ctx context.Context, fn func(booking.Tx) error) error {
	c.note("Update")
	return c.Store.Update(ctx, func(tx booking.Tx) error { return fn(countingTx{tx, c}) })
}

func (c *counting) View(ctx context.Context, fn func(booking.Tx) error) error {
	c.note("View")
	return c.Store.View(ctx, func(tx booking.Tx) error { return fn(countingTx{tx, c}) })
}

func (c *counting) note(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (tx countingTx) FindFold(t lodge.Tenant, fold []byte) (string, error) {
	tx.c.note("FindFold")
	return tx.Tx.FindFold(t, fold)
}

func (tx countingTx) Booking(t lodge.Tenant, id string) (booking.Record, error) {
	tx.c.note("Booking")
	return tx.Tx.Booking(t, id)
}

func (tx countingTx) Rate(t lodge.Tenant, key []byte) (time.Time, error) {
	tx.c.note("Rate")
	return tx.Tx.Rate(t, key)
}

func (tx countingTx) PutMail(m booking.Mail) error {
	tx.c.note("PutMail")
	return tx.Tx.PutMail(m)
}

func (tx countingTx) SetRate(t lodge.Tenant, key []byte, at time.Time) error {
	tx.c.note("SetRate")
	return tx.Tx.SetRate(t, key, at)
}

// Every miss has the same answer and does the same work, step by step.
func testSec34MissesAlike(t *testing.T, l *lab) {
	_, dead := l.book(ask("ada"))
	l.clock.move(8 * 24 * time.Hour)
	_, reference := l.book(ask("soren"))
	c := &counting{Store: l.store}
	desk, err := booking.NewDesk(c, keys, l.clock, booking.Options{})
	must(t, err)
	var first error
	var work []string
	for name, ask := range map[string][2]string{
		"no such reference": {"Ó Briain", wrong(reference)},
		"another's":         {"Curie", reference},
		"dead":              {"Ó Briain", dead},
		"neither":           {"Nobody", wrong(wrong(reference))},
		"native":            {"Иванов", reference},
	} {
		c.calls = nil
		_, err := desk.Lookup(t.Context(), tenant, ask[0], ask[1], "192.0.2.1")
		wantCode(t, err, lodge.CodeNotFound)
		if first == nil {
			first, work = err, c.calls
		}
		if !reflect.DeepEqual(err, first) {
			t.Errorf("%s: answered %#v, others %#v", name, err, first)
		}
		if !reflect.DeepEqual(c.calls, work) {
			t.Errorf("%s: did %v, others %v", name, c.calls, work)
		}
	}
}

// A link is asked for alike, whatever there is to find: the same work, in the same
// order, with the same answer.
func testSec34LinkRequestsAlike(t *testing.T, l *lab) {
	_, dead := l.book(ask("ada"))
	l.clock.move(8 * 24 * time.Hour)
	_, reference := l.book(ask("soren"))
	c := &counting{Store: l.store}
	desk, err := booking.NewDesk(c, keys, l.clock, booking.Options{Mail: true})
	must(t, err)
	request := func(surname, reference string) []string {
		t.Helper()
		c.calls = nil
		must(t, desk.RequestLink(t.Context(), tenant, surname, reference, "192.0.2.1"))
		return c.calls
	}
	work := request("Ó Briain", reference)
	if !slices.Contains(work, "PutMail") {
		t.Fatalf("a hit did %v", work)
	}
	for name, ask := range map[string][2]string{
		"a hit again":       {"o'briain", reference},
		"no such reference": {"Ó Briain", wrong(reference)},
		"another's":         {"Curie", reference},
		"dead":              {"Ó Briain", dead},
		"neither":           {"Nobody", wrong(wrong(reference))},
	} {
		if did := request(ask[0], ask[1]); !slices.Equal(did, work) {
			t.Errorf("%s: did %v, a hit %v", name, did, work)
		}
	}
	for range 3 { // and when the booking's own limit is reached
		if did := request("Ó Briain", reference); !slices.Equal(did, work) {
			t.Errorf("over the booking's limit: did %v, before %v", did, work)
		}
	}
}

func testSec35NothingInPlain(t *testing.T, l *lab) {
	req := ask("soren")
	b, reference := l.book(req)
	must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
		rec, err := tx.Booking(tenant, b.ID)
		if dump := fmt.Sprintf("%s %x", fmt.Sprintf("%+v", rec), rec.Sealed); strings.Contains(dump, reference) ||
			strings.Contains(dump, fmt.Sprintf("%x", reference)) || strings.Contains(string(rec.Sealed), reference) {
			t.Error("the reference is stored in plain")
		}
		if rec.SealedKey != keys.PepperID {
			t.Errorf("sealed with key %q", rec.SealedKey)
		}
		return err
	}))
	// Without the keys a stored reference is worth nothing.
	strange := keys
	strange.Pepper = []byte(strings.Repeat("x", 32))
	desk, err := booking.NewDesk(l.store, strange, l.clock, booking.Options{})
	must(t, err)
	_, err = desk.Lookup(t.Context(), tenant, req.Surname, reference, "192.0.2.1")
	wantCode(t, err, lodge.CodeNotFound)
	_, err = desk.Reference(t.Context(), b)
	wantCode(t, err, lodge.CodeInternal)
}

// A reference lives until the end of the message period, and is then removed.
func testDeadReferences(t *testing.T, l *lab) {
	ended, r1 := l.book(ask("soren"))
	cancelled, r2 := l.book(course("soren", at(60), 30*time.Minute))
	cancelled, err := l.desk.Cancel(t.Context(), tenant, cancelled.ID, "")
	must(t, err)
	if !l.desk.MessagesUntil(cancelled).Equal(noon.AddDate(0, 0, 7)) || !l.desk.MessagesUntil(ended).Equal(at(5).AddDate(0, 0, 7)) {
		t.Errorf("messages until %v, %v", l.desk.MessagesUntil(cancelled), l.desk.MessagesUntil(ended))
	}
	found := func(reference string, want bool) {
		t.Helper()
		if _, err := l.lookup("Ó Briain", reference, "192.0.2.1"); (err == nil) != want {
			t.Errorf("%v: lookup %v", l.clock.Now(), err)
		}
	}
	l.clock.move(7*24*time.Hour - time.Second)
	found(r1, true)
	found(r2, true)
	l.clock.move(time.Second)
	found(r1, true)
	found(r2, false)
	l.clock.move(5 * time.Minute)
	found(r1, false)
	if r, err := l.desk.Reference(t.Context(), ended); r != "" || err != nil {
		t.Errorf("dead reference shown: %q %v", r, err)
	}
	l.clock.move(time.Second)
	stop := l.run()
	defer stop()
	await(t, "the sealed copies to go", func() bool {
		gone := 0
		must(t, l.store.View(t.Context(), func(tx booking.Tx) error {
			for _, b := range []booking.Booking{ended, cancelled} {
				rec, err := tx.Booking(tenant, b.ID)
				if err != nil {
					return err
				}
				if rec.Sealed == nil {
					gone++
				}
			}
			return nil
		}))
		return gone == 2
	})
}
