package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/lodge-gateway/lodge/booking/bookingtest"
)

func TestStatesAndOutboxDepth(t *testing.T) {
	db, err := Open(context.Background(), filepath.Join(t.TempDir(), "lodge.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	bookingtest.RunBeside(t, NewBookings(db), NewStates(db).Offline, db.OutboxDepth)
}
