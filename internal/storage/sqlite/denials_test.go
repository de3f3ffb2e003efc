package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/relay/relaytest"
)

func TestDenials(t *testing.T) {
	relaytest.Run(t, func(t *testing.T) relay.Denials { return NewDenials(open(t)) })
}

// Practable forgot its denials when it was restarted.
func TestDenialsSurviveAReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lodge.db")
	key, now := relay.BookingKey("b1"), relaytest.Base
	for round := range 2 {
		db, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		d := NewDenials(db)
		if round == 0 {
			if err := d.Deny(t.Context(), "t1", key, now.Add(time.Hour), now); err != nil {
				t.Fatal(err)
			}
		}
		if found, err := d.Denied(t.Context(), "t1", now, key); err != nil || len(found) != 1 {
			t.Errorf("round %d: %v, %v", round, found, err)
		}
		standing, err := d.Standing(t.Context(), now)
		if err != nil || len(standing) != 1 || standing[0] != (relay.Denial{Tenant: "t1", Key: key, Until: now.Add(time.Hour)}) {
			t.Errorf("round %d: standing %v, %v", round, standing, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if found, err := d.Denied(t.Context(), "t1", now, key); err == nil {
			t.Errorf("a closed database answers %v", found)
		}
	}
}
