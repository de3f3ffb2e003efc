package postgres

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/relay"
	"github.com/lodge-gateway/lodge/relay/relaytest"
)

func TestDenials(t *testing.T) {
	relaytest.Run(t, func(t *testing.T) relay.Denials { return NewDenials(open(t, fresh(t))) })
}

// What a Redis is told that has lost what it knew.
func TestDenialsThatStand(t *testing.T) {
	url := fresh(t)
	one, other := NewDenials(open(t, url)), NewDenials(open(t, url))
	now := relaytest.Base
	want := relay.Denial{Tenant: "t1", Key: relay.BookingKey("b1"), Until: now.Add(time.Hour)}
	if err := one.Deny(t.Context(), want.Tenant, want.Key, want.Until, now); err != nil {
		t.Fatal(err)
	}
	if err := one.Allow(t.Context(), "t2", want.Key, want.Until, now); err != nil {
		t.Fatal(err)
	}
	if list, err := other.Standing(t.Context(), now); err != nil || len(list) != 1 || list[0] != want {
		t.Errorf("standing %v, %v", list, err)
	}
	if list, err := other.Standing(t.Context(), want.Until); err != nil || len(list) != 0 {
		t.Errorf("standing at its end: %v, %v", list, err)
	}
}
