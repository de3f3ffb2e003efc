package messaging

import (
	"encoding/json"
	"time"
)

// Expires returns when a notice stops being one, its data's "expires" (RFC 3339);
// zero for what has no end. An expired notice keeps its place in its topic, but it
// is neither delivered nor replayed nor shown, and that is no gap: its sender
// wanted it so.
func (e Event) Expires() time.Time {
	if e.Type != TypeNotice {
		return time.Time{}
	}
	var data struct {
		Expires time.Time `json:"expires"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return time.Time{} // data of another shape says nothing of an end
	}
	return data.Expires
}

// Expired reports whether the event has an end that has come.
func (e Event) Expired(now time.Time) bool {
	return over(e.Expires(), now)
}
