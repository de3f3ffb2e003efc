package booking

import (
	"slices"

	"github.com/lodge-gateway/lodge"
)

// A Condition is what a change requires of a booking as it stands at that
// moment. Its error is the caller's answer, and nothing is changed.
type Condition func(Booking) error

// IfVersion requires that nobody changed the booking since it was read; it is
// CodeConflict otherwise.
func IfVersion(versions ...uint64) Condition {
	return func(b Booking) error {
		if slices.Contains(versions, b.Version) {
			return nil
		}
		e := lodge.E(lodge.CodeConflict, "The booking was changed meanwhile; load it again, and look at it before you change it.")
		e.Details = map[string]any{"rule": "version", "value": b.Version}
		return e
	}
}

func required(b Booking, conditions []Condition) error {
	for _, holds := range conditions {
		if err := holds(b); err != nil {
			return err
		}
	}
	return nil
}
