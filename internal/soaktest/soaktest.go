// Package soaktest says how long the tests go on that race, kill and churn: for
// seconds in `make test`, in full in `make soak`, and there for a share of that
// where the race detector watches, which makes everything some seven times as
// dear.
package soaktest

import (
	"os"
	"testing"
)

// Rounds returns how often a test is to do what it does: short as a rule, and
// with LODGE_SOAK set full, or a share of that under the race detector.
func Rounds(short, share, full int) int {
	switch {
	case os.Getenv("LODGE_SOAK") == "":
		return short
	case raceDetector:
		return share
	default:
		return full
	}
}

// Report logs the one line of figures that `make soak` prints of a test.
func Report(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Logf("soak: "+t.Name()+": "+format, args...)
}
