package attendance

import (
	"io"
	"strconv"
	"time"
)

// CSV writes the register's marks, one a line under a heading (RFC 4180, UTF-8,
// times RFC 3339 in UTC). What a spreadsheet would take for a formula is written with
// an apostrophe before it.
func (r Register) CSV(w io.Writer) error {
	rows := [][]string{{"register", "group", "person", "name", "state", "source", "confirmed", "first_seen", "last_seen", "seconds", "reason", "apology", "apology_state"}}
	for _, m := range r.Marks {
		reason := ""
		if n := len(m.Changes); n > 0 {
			reason = m.Changes[n-1].Reason
		}
		rows = append(rows, []string{
			r.Title, r.Group, string(m.Person), m.Name, string(m.State), string(m.Source),
			strconv.FormatBool(m.Confirmed), stamp(m.FirstSeen), stamp(m.LastSeen),
			strconv.FormatInt(int64(m.Seen/time.Second), 10), reason, m.Apology.Words, m.Apology.State,
		})
	}
	return writeCSV(w, rows)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
