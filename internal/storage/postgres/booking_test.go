package postgres

import (
	"context"
	"testing"

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
