package gateway

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/relay"
)

func TestStreamRatesAreFromLookToLook(t *testing.T) {
	var s streamRates
	start := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	peer := func(in, out uint64) []relay.PeerStatus {
		return []relay.PeerStatus{{Topic: "a", Session: "s", ConnectedAt: start, Counts: relay.Counts{In: in, Out: out}}}
	}
	for _, c := range []struct {
		after   time.Duration
		in, out uint64
		want    streamRate
	}{
		{0, 0, 0, streamRate{}},
		{10 * time.Second, 100, 50, streamRate{10, 5}},                      // since it was made
		{15 * time.Second, 150, 50, streamRate{10, 0}},                      // since the last look
		{15*time.Second + 300*time.Millisecond, 500, 60, streamRate{10, 0}}, // too soon to tell
		{20 * time.Second, 200, 75, streamRate{10, 5}},
	} {
		if got := s.of(lodge.DefaultTenant, peer(c.in, c.out), start.Add(c.after)); got[0] != c.want {
			t.Errorf("after %v: %v, want %v", c.after, got[0], c.want)
		}
	}
	if got := s.of("other", nil, start); len(got) != 0 || len(s.last["other"]) != 0 {
		t.Errorf("of another tenant: %v", got)
	}
	s.of(lodge.DefaultTenant, nil, start)
	if len(s.last[lodge.DefaultTenant]) != 0 {
		t.Error("a connection that is gone is remembered")
	}
}
