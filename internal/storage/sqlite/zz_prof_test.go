package sqlite

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
)

func BenchmarkBook(b *testing.B) {
	db, err := Open(b.Context(), filepath.Join(b.TempDir(), "lodge.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	desk, _ := booking.NewDesk(NewBookings(db), booking.Keys{PepperID: "1", Pepper: bytes.Repeat([]byte{1}, 32), Seal: bytes.Repeat([]byte{2}, 32)},
		lodge.SystemClock{}, booking.Options{Logger: slog.New(slog.DiscardHandler)})
	c := booking.Catalogue{
		Experiments: map[string]booking.Experiment{}, Slots: map[string]booking.Slot{},
		Policies: map[string]booking.Policy{"open": {}}, Groups: map[string]booking.Group{"all": {Policies: []string{"open"}}},
		UISets: map[string]booking.UISet{"none": {UIs: []string{}}},
	}
	for n := range 100 {
		name := fmt.Sprint("x", n)
		c.Experiments[name] = booking.Experiment{}
		c.Slots[name] = booking.Slot{Experiment: name, Policy: "open", UISet: "none"}
	}
	if err := desk.Apply(b.Context(), "default", c); err != nil {
		b.Fatal(err)
	}
	day := time.Now().Truncate(time.Hour).AddDate(1, 0, 0)
	var next atomic.Int64
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := int(next.Add(1))
			_, _, err := desk.Book(b.Context(), booking.Request{Tenant: "default", Person: lodge.PersonID(fmt.Sprint("p", n)), Name: "N", Surname: "Ó Briain", Groups: []string{"all"}, Group: "all",
				Slot: fmt.Sprint("x", n%100), Start: day.Add(time.Duration(n/100) * 5 * time.Minute), Length: 5 * time.Minute, Key: fmt.Sprint(n)})
			if err != nil {
				b.Error(err)
			}
		}
	})
}
