package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

// With thousands of bookings no question about the diary, a person or a reference
// reads a whole table: each statement that was run is explained.
func TestDiaryQueriesUseAnIndex(t *testing.T) {
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "lodge.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	start := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	store := NewBookings(db)
	err = store.Update(t.Context(), func(tx booking.Tx) error {
		for i := range 3000 {
			id := fmt.Sprint("b", i)
			r := booking.Record{Booking: booking.Booking{
				ID: id, Tenant: "t", Owner: lodge.PersonID(fmt.Sprint("p", i%300)), Experiment: fmt.Sprint("x", i%3), Policy: "q",
				Start: at(10 * i), End: at(10*i + 5), Exclusive: true, CreatedAt: start, ComeBy: at(10*i + 2), Version: 1,
			}, MadeFor: "p"}
			if err := errors.Join(tx.Insert(r), tx.AddReference("t", id, "1", []byte("r"+id), [][]byte{[]byte("f" + id)})); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	within := booking.Interval{Start: at(100), End: at(400)}
	err = store.View(t.Context(), func(tx booking.Tx) error {
		busy, err := tx.Busy("t", "x1", "", within, 100)
		if len(busy) != 10 {
			t.Errorf("%d taken", len(busy))
		}
		all := []error{err}
		for _, f := range []booking.Filter{{Owner: "p1"}, {Experiment: "x1"}, {Owner: "p1", Experiment: "x1"}} {
			f.Within, f.Limit = within, 100
			_, err := tx.List("t", f)
			all = append(all, err)
		}
		_, _, err = tx.Tally("t", "p1", "q", start)
		all = append(all, err)
		_, err = tx.Booking("t", "b1")
		all = append(all, err)
		_, err = tx.FindFold("t", []byte("fb1"))
		all = append(all, err)
		_, err = tx.HasReference("t", []byte("rb1"))
		all = append(all, err)
		_, err = tx.SharedWith("t", "p1", start)
		all = append(all, err)
		_, err = tx.Awaited(start, 100)
		all = append(all, err)
		if _, err = tx.ByKey("t", "p1", []byte("k")); !errors.Is(err, booking.ErrUnknown) {
			all = append(all, err)
		}
		return errors.Join(all...)
	})
	if err != nil {
		t.Fatal(err)
	}
	explained := 0
	for query := range db.stmts {
		args := make([]any, strings.Count(query, "?"))
		rows, err := db.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			explained++
			// "SCAN CONSTANT ROW" is a query without a table.
			if strings.HasPrefix(detail, "SCAN") && !strings.HasPrefix(detail, "SCAN CONSTANT") {
				t.Errorf("%s:\n%s", detail, query)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if explained < 10 {
		t.Errorf("only %d steps were explained", explained)
	}
}
