package gateway

import "time"

// HandInRequest is the body of POST /api/v1/handins. What is left out of the limits
// is the default.
type HandInRequest struct {
	To           string       `json:"to"`
	Title        string       `json:"title"`
	Instructions string       `json:"instructions,omitempty"`
	Opens        string       `json:"opens,omitempty"`    // RFC 3339, or a local time in Zone; empty: at once
	After        bool         `json:"after,omitempty"`    // to each person once their experiment has ended
	Deadline     string       `json:"deadline,omitempty"` // likewise; empty: none
	Zone         string       `json:"zone,omitempty"`
	Late         string       `json:"late,omitempty"`    // refuse, accept, penalty
	PerDay       float64      `json:"per_day,omitempty"` // with penalty: points off for each day begun
	Points       float64      `json:"points"`            // possible
	Limits       HandInLimits `json:"limits,omitzero"`
}

// HandInLimits bound one person's work.
type HandInLimits struct {
	Files    int      `json:"files,omitempty"`
	FileSize int64    `json:"file_size,omitempty"` // bytes
	Total    int64    `json:"total,omitempty"`     // bytes
	Types    []string `json:"types,omitempty"`     // extensions
}

// HandInView is a hand-in as who hands in or grades sees it.
type HandInView struct {
	ID           string       `json:"id"`
	To           string       `json:"to"`
	Title        string       `json:"title"`
	Instructions string       `json:"instructions,omitempty"`
	Opens        time.Time    `json:"opens,omitzero"`
	After        bool         `json:"after,omitempty"` // it opens to each person once their experiment has ended
	Deadline     time.Time    `json:"deadline,omitzero"`
	Late         string       `json:"late"`
	PerDay       float64      `json:"per_day,omitempty"`
	Points       float64      `json:"points"`
	Limits       HandInLimits `json:"limits"`
	Standing     string       `json:"standing"` // coming, open, late, closed
	OpenedAt     time.Time    `json:"opened_at"`
	ClosedAt     time.Time    `json:"closed_at,omitzero"`
	ReleasedAt   time.Time    `json:"released_at,omitzero"` // when the grades were
	Mine         *WorkView    `json:"mine,omitempty"`       // the reader's own work
	HandedIn     int          `json:"handed_in"`            // how many people have; to who grades only
}

// WorkView is what one person handed in. Without at they did not, and only have a
// grade.
type WorkView struct {
	Person   string     `json:"person"`
	Name     string     `json:"name"`
	Surname  string     `json:"surname"`
	Version  int        `json:"version"`
	At       time.Time  `json:"at,omitzero"`
	DaysLate int        `json:"days_late"`
	SHA256   string     `json:"sha256,omitempty"` // as on the receipt
	Erased   bool       `json:"erased"`           // the person was erased, and with them what it was
	Text     *FileView  `json:"text,omitempty"`
	Files    []FileView `json:"files"`
	Grade    *GradeView `json:"grade,omitempty"`
}

// FileView is a file of somebody's work; URL reads it.
type FileView struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	URL    string `json:"url"`
}

// GradeView is a grade.
type GradeView struct {
	Points  float64   `json:"points"`
	Counted float64   `json:"counted"` // less what the late rule takes off
	Words   string    `json:"words,omitempty"`
	At      time.Time `json:"at"`
	Version int       `json:"version"` // of the work it is for; 0: for none
}

// WorksView answers GET /api/v1/handins/{id}/work, to who grades.
type WorksView struct {
	Work    []WorkView    `json:"work"`    // by surname
	Missing []MissingView `json:"missing"` // of the audience as it is now
}

// MissingView is somebody who has handed in nothing.
type MissingView struct {
	Person  string `json:"person"`
	Name    string `json:"name"`
	Surname string `json:"surname"`
}

// HandInReceipt confirms that work was handed in.
type HandInReceipt struct {
	HandIn   string    `json:"handin"`
	Version  int       `json:"version"`
	At       time.Time `json:"at"`
	DaysLate int       `json:"days_late"`
	SHA256   string    `json:"sha256"`
}

// GradeRequest is the body of PUT /api/v1/handins/{id}/grades/{person}.
type GradeRequest struct {
	Points float64 `json:"points"`
	Words  string  `json:"words,omitempty"`
}
