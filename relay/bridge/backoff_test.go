package bridge

import (
	"testing"
	"time"
)

// A pause is any part of a time that doubles up to eight seconds, none of it
// included: full jitter.
func TestBackOffIsFullJitter(t *testing.T) {
	for failures, ceiling := range map[int]time.Duration{
		0: 250 * time.Millisecond, 1: 500 * time.Millisecond, 3: 2 * time.Second, 5: 8 * time.Second, 6: 8 * time.Second, 1_000_000: 8 * time.Second,
	} {
		for _, part := range []float64{0, 0.25, 0.5, 0.999999} {
			if got, want := backOff(failures, func() float64 { return part }), time.Duration(part*float64(ceiling)); got != want {
				t.Errorf("after %d failures, %v of it: %v, want %v", failures, part, got, want)
			}
		}
	}
}
