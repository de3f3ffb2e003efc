package attendance

import (
	"time"

	"github.com/lodge-gateway/lodge"
)

// view returns what a register says of a member. What is known of them can only
// better their state: whoever is seen for longer, or earlier, is never worse off.
// A correction comes before all of it, and an accepted apology after.
func (rec *record) view(person lodge.PersonID, r *register) Mark {
	experiment, messages := rec.Spans[FromExperiment], rec.Spans[FromMessages]
	m := Mark{
		Person: person, Name: rec.Name, State: Expected, Confirmed: !rec.ConfirmedAt.IsZero(), Seen: experiment.total(),
		Apology: rec.Apology, Changes: append([]Change(nil), rec.Changes...),
	}
	if len(experiment) > 0 {
		m.FirstSeen, m.LastSeen = experiment.bounds()
	} else if at := earlier(rec.CodeAt, rec.ConfirmedAt); !at.IsZero() {
		m.FirstSeen, m.LastSeen = at, at
	} else if len(messages) > 0 {
		m.FirstSeen, m.LastSeen = messages.bounds()
	}
	switch came, at := rec.came(r.Least); {
	case rec.byHand():
		m.State, m.Source = rec.Changes[len(rec.Changes)-1].State, FromHand
	case came != "":
		m.State, m.Source = Present, came
		if r.Late > 0 && at.After(r.Start.Add(r.Late)) {
			m.State = Late
		}
	case rec.Apology.State == Accepted:
		m.State, m.Source = Excused, FromApology
	case !r.open() && len(experiment) > 0:
		m.State, m.Source = Absent, FromRules
	case !r.open():
		m.State, m.Source = Absent, FromClosing
	case len(experiment) > 0:
		m.Source = FromExperiment
	case len(messages) > 0:
		m.Source = FromMessages
	}
	return m
}

// byHand reports whether the last word on a member is a correction.
func (rec *record) byHand() bool {
	n := len(rec.Changes)
	return n > 0 && rec.Changes[n-1].State != ""
}

// came returns by which of what is known of a member they are there, and since
// when: since the earliest of what counts.
func (rec *record) came(least time.Duration) (by Source, at time.Time) {
	count := func(source Source, when time.Time) {
		if when.IsZero() {
			return
		}
		if by == "" {
			by = source
		}
		at = earlier(at, when)
	}
	if stays := rec.Spans[FromExperiment]; len(stays) > 0 && stays.total() >= least {
		first, _ := stays.bounds()
		count(FromExperiment, first)
	}
	count(FromCode, rec.CodeAt)
	count(FromMember, rec.ConfirmedAt)
	return by, at
}
