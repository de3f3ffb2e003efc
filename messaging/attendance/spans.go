package attendance

import (
	"slices"
	"time"
)

// slack is how far two sightings may be apart and still count as one presence:
// reconnecting is not leaving.
const slack = 10 * time.Second

// A span is a closed interval in Unix microseconds.
type span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// spans are disjoint, in order and further apart than slack, so that there can
// be no more than six a minute.
type spans []span

// newSpan returns the part of an interval that lies within start and end (half
// open), if there is one.
func newSpan(from, to, start, end time.Time) (span, bool) {
	if to.Before(from) || !from.Before(end) || to.Before(start) || (to.Equal(start) && from.Before(start)) {
		return span{}, false
	}
	return span{From: max(from.UnixMicro(), start.UnixMicro()), To: min(to.UnixMicro(), end.UnixMicro())}, true
}

// add returns the union of s and one more; s is not changed. The result does
// not depend on the order in which spans are added.
func (s spans) add(n span) spans {
	near := slack.Microseconds()
	out := make(spans, 0, len(s)+1)
	i := 0
	for ; i < len(s) && s[i].To < n.From-near; i++ {
		out = append(out, s[i])
	}
	for ; i < len(s) && s[i].From <= n.To+near; i++ {
		n.From, n.To = min(n.From, s[i].From), max(n.To, s[i].To)
	}
	return append(append(out, n), s[i:]...)
}

// covers reports whether adding n would change nothing.
func (s spans) covers(n span) bool {
	return slices.ContainsFunc(s, func(o span) bool { return o.From <= n.From && n.To <= o.To })
}

// last returns the end of the last span.
func (s spans) last() int64 { return s[len(s)-1].To }

func (s spans) bounds() (first, last time.Time) {
	return time.UnixMicro(s[0].From).UTC(), time.UnixMicro(s.last()).UTC()
}

func (s spans) total() time.Duration {
	var sum int64
	for _, o := range s {
		sum += o.To - o.From
	}
	return time.Duration(sum) * time.Microsecond
}
