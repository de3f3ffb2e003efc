package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/booking/bookingtest"
)

func TestBookings(t *testing.T) {
	bookingtest.Run(t, bookingtest.Harness{Open: func(t *testing.T) func() (booking.Store, func()) {
		path := filepath.Join(t.TempDir(), "lodge.db")
		return func() (booking.Store, func()) {
			db, err := Open(context.Background(), path)
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
