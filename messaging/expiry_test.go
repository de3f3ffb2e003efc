package messaging

import (
	"encoding/json"
	"testing"
	"time"
)

func TestNoticesExpire(t *testing.T) {
	end := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		typ, data string
		now       time.Time
		want      bool
	}{
		"no end":             {TypeNotice, `{"text":"x"}`, end, false},
		"before":             {TypeNotice, `{"expires":"2026-05-04T09:00:00Z"}`, end.Add(-time.Nanosecond), false},
		"at its end":         {TypeNotice, `{"expires":"2026-05-04T09:00:00Z"}`, end, true},
		"another zone":       {TypeNotice, `{"expires":"2026-05-04T10:00:00+01:00"}`, end, true},
		"nonsense":           {TypeNotice, `{"expires":"soon"}`, end, false},
		"not an object":      {TypeNotice, `[1]`, end, false},
		"no data":            {TypeNotice, ``, end, false},
		"not of this type":   {TypeBooking, `{"expires":"2026-05-04T09:00:00Z"}`, end, false},
		"an empty end is no": {TypeNotice, `{"expires":"0001-01-01T00:00:00Z"}`, end, false},
	} {
		if got := (Event{Type: c.typ, Data: json.RawMessage(c.data)}).Expired(c.now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
