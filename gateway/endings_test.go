package gateway

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/messaging/handin"
)

// What goes with the end of each person's experiment goes with one that was had,
// ended while answers were taken, and is of the audience, whoever has become whom.
func TestWhoseExperimentASequelFollows(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 5, 4, 10, minute, 0, 0, time.UTC) }
	merged := lodge.Merged{"guest": "ada"}
	for name, c := range map[string]struct {
		change func(*sequel, *booking.Booking)
		want   bool
	}{
		"by its time":                    {func(*sequel, *booking.Booking) {}, true},
		"early, by somebody who came":    {func(_ *sequel, b *booking.Booking) { b.CameAt, b.CancelledAt = at(12), at(20) }, true},
		"early, since nobody came":       {func(_ *sequel, b *booking.Booking) { b.CancelledAt = at(20) }, false},
		"cancelled before it began":      {func(_ *sequel, b *booking.Booking) { b.CancelledAt = at(5) }, false},
		"before it opened":               {func(s *sequel, _ *booking.Booking) { s.opened = at(31) }, false},
		"just before it closed":          {func(s *sequel, _ *booking.Booking) { s.closed = at(30) }, true},
		"after it closed":                {func(s *sequel, _ *booking.Booking) { s.closed = at(29) }, false},
		"of the group":                   {func(s *sequel, _ *booking.Booking) { s.to = "group:g" }, true},
		"of another group":               {func(s *sequel, _ *booking.Booking) { s.to = "group:h" }, false},
		"of the experiment":              {func(s *sequel, _ *booking.Booking) { s.to = "experiment:x" }, true},
		"of another experiment":          {func(s *sequel, _ *booking.Booking) { s.to = "experiment:y" }, false},
		"of the booking":                 {func(s *sequel, _ *booking.Booking) { s.to = "booking:b" }, true},
		"of another booking":             {func(s *sequel, _ *booking.Booking) { s.to = "booking:c" }, false},
		"of the person":                  {func(s *sequel, _ *booking.Booking) { s.to = "user:ada" }, true},
		"of who has become the person":   {func(s *sequel, _ *booking.Booking) { s.to = "user:guest" }, true},
		"of another person":              {func(s *sequel, _ *booking.Booking) { s.to = "user:soren" }, false},
		"of nobody, the owner is erased": {func(s *sequel, b *booking.Booking) { s.to, b.Owner = "user:ada", "" }, false},
	} {
		s := sequel{to: audienceAll, opened: at(0)}
		b := booking.Booking{ID: "b", Owner: "ada", Group: "g", Experiment: "x", Start: at(10), End: at(30)}
		c.change(&s, &b)
		if got := s.follows(b, merged); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Nobody is told to hand in what is not taken any more.
func TestASequelEndsWithTheDeadlineUnlessLateWorkIsTaken(t *testing.T) {
	deadline, closed := time.Unix(100, 0), time.Unix(200, 0)
	for name, c := range map[string]struct {
		one  handin.HandIn
		want time.Time
	}{
		"no end":                 {handin.HandIn{Draft: handin.Draft{Late: handin.Refuse}}, time.Time{}},
		"a deadline":             {handin.HandIn{Draft: handin.Draft{Late: handin.Refuse, Deadline: deadline}}, deadline},
		"late work":              {handin.HandIn{Draft: handin.Draft{Late: handin.Accept, Deadline: deadline}}, time.Time{}},
		"closed":                 {handin.HandIn{Draft: handin.Draft{Late: handin.Penalty, Deadline: deadline}, ClosedAt: closed}, closed},
		"closed after its end":   {handin.HandIn{Draft: handin.Draft{Late: handin.Refuse, Deadline: deadline}, ClosedAt: closed}, deadline},
		"closed before that end": {handin.HandIn{Draft: handin.Draft{Late: handin.Refuse, Deadline: closed}, ClosedAt: deadline}, deadline},
	} {
		if got := (&Gateway{}).handInSequel("t", c.one).closed; !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
