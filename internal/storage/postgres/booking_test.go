package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/booking/bookingtest"
)

func TestBookings(t *testing.T) {
	bookingtest.Run(t, bookingtest.Harness{Open: func(t *testing.T) func() (booking.Store, func()) {
		url := fresh(t)
		return func() (booking.Store, func()) {
			db, err := Open(context.Background(), url, quick())
			if err != nil {
				t.Fatal(err)
			}
			return NewBookings(db), func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}})
}

// carried counts how often each effect was carried out, on whatever node.
type carried struct {
	mu    sync.Mutex
	times map[string]int // guarded by mu
}

func (c *carried) Carry(_ context.Context, e booking.Effect) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times[e.ID]++
	return nil
}

// Nodes that look into one outbox all the time carry out each effect once.
func TestEffectsAreCarriedOutByOneNode(t *testing.T) {
	url := fresh(t)
	effects := &carried{times: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var store booking.Store
	for range 3 {
		store = NewBookings(open(t, url))
		desk, err := booking.NewDesk(store, booking.Keys{PepperID: "1", Pepper: bytes.Repeat([]byte{1}, 32), Seal: bytes.Repeat([]byte{2}, 32)},
			lodge.SystemClock{}, booking.Options{Effects: effects, RetryEvery: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := desk.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	const all = 40
	for i := range all {
		e := booking.Effect{Tenant: "t1", ID: fmt.Sprint(i), Kind: "booked", Experiment: "x", At: time.Now()}
		if err := store.Update(t.Context(), func(tx booking.Tx) error { return tx.Enqueue(fmt.Sprint("experiment:", i%5), e) }); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() error {
		return store.View(t.Context(), func(tx booking.Tx) error {
			due, err := tx.Due(time.Now().Add(time.Hour), 1)
			if len(due) > 0 {
				err = errors.Join(err, errors.New("effects are left"))
			}
			return err
		})
	})
	effects.mu.Lock()
	defer effects.mu.Unlock()
	for i := range all {
		if n := effects.times[fmt.Sprint(i)]; n != 1 {
			t.Errorf("effect %d was carried out %d times", i, n)
		}
	}
}

// A node that dies keeps its claim no longer than it asked for.
func TestClaimsRunOut(t *testing.T) {
	url := fresh(t)
	one, other := newBookings(open(t, url)), newBookings(open(t, url))
	subject := booking.Subject{Tenant: "t1", Name: "booking:b1"}
	claim := func(s bookings, node string, life time.Duration, want bool) {
		t.Helper()
		if got, err := s.Claim(t.Context(), subject, node, life); err != nil || got != want {
			t.Errorf("claimed by %s: %v, %v", node, got, err)
		}
	}
	claim(one, "one", time.Hour, true)
	claim(one, "one", time.Hour, true)
	claim(other, "other", time.Hour, false)
	for _, node := range []string{"other", "one"} { // it is not the other's to give back
		if err := other.Release(t.Context(), subject, node); err != nil {
			t.Fatal(err)
		}
		claim(other, "other", 0, node == "one")
	}
	claim(one, "one", time.Hour, true) // the other's ran out
}

// What a desk would never do the table refuses, whoever writes it.
func TestTableRefusesOverlaps(t *testing.T) {
	db := open(t, fresh(t))
	insert := func(id string, minutes int, exclusive bool) error {
		return db.Update(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO bookings (tenant, id, owner, made_for, owner_name, surname, experiment, slot, policy, group_name, ui_set,
				start_at, end_at, exclusive, cancel_reason, charged, version, sealed_key)
				VALUES ('t1', $1, '', '', '', '', 'x', '', '', '', '', $2, $3, $4, '', 0, 1, '')`,
				id, moment(base.Add(time.Duration(minutes)*time.Minute)), moment(base.Add(time.Duration(minutes+10)*time.Minute)), exclusive)
			return bookingErr("insert", err)
		})
	}
	for _, tt := range []struct {
		minutes   int
		exclusive bool
		want      error
	}{{0, true, nil}, {10, true, nil}, {5, true, booking.ErrOverlap}, {5, false, nil}, {-10, true, nil}, {-1, true, booking.ErrOverlap}} {
		if err := insert(fmt.Sprint(tt), tt.minutes, tt.exclusive); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

var base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A caller that has gone may be asking another node by now: what met others is
// not run again for it.
func TestUpdateIsNotRunAgainForACallerThatHasGone(t *testing.T) {
	db := open(t, fresh(t))
	ctx, leave := context.WithCancel(t.Context())
	runs := 0
	err := NewBookings(db).Update(ctx, func(booking.Tx) error {
		runs++
		leave()
		return &pgconn.PgError{Code: "40001"}
	})
	if !errors.Is(err, context.Canceled) || runs != 1 {
		t.Errorf("ran %d times, %v", runs, err)
	}
}
