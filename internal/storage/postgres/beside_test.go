package postgres

import (
	"testing"

	"github.com/lodge-gateway/lodge/booking/bookingtest"
)

func TestStatesAndOutboxDepth(t *testing.T) {
	db := open(t, fresh(t))
	bookingtest.RunBeside(t, NewBookings(db), NewStates(db).Offline, db.OutboxDepth)
}
