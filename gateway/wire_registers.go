package gateway

import "time"

// RegisterRules say what a register makes of what is known of its members.
type RegisterRules struct {
	Late  int  `json:"late,omitempty"`  // minutes after the start until which one is in time; 0: nobody is late
	Least int  `json:"least,omitempty"` // minutes in the experiment that make present; 0: a moment is enough
	Room  bool `json:"room,omitempty"`  // it takes the code on the screen: a tap is not enough
}

// RegisterRequest is the body of POST /api/v1/registers.
type RegisterRequest struct {
	Title string    `json:"title"`
	Group string    `json:"group"`
	Start time.Time `json:"start,omitzero"` // absent: the current hour
	End   time.Time `json:"end,omitzero"`
	RegisterRules
}

// SeriesRequest is the body of POST /api/v1/registers/planned: registers that open
// and close by themselves.
type SeriesRequest struct {
	Title   string `json:"title"`
	Group   string `json:"group"`
	Start   string `json:"start"`          // RFC 3339, or a local time in Zone
	Zone    string `json:"zone,omitempty"` // whose clock the series follows; absent: the institution's
	Minutes int    `json:"minutes"`
	Times   int    `json:"times,omitempty"` // a week apart; absent: once
	RegisterRules
}

// PlannedView is a register that is to open by itself.
type PlannedView struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Group   string    `json:"group"`
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Series  string    `json:"series"`
	Problem string    `json:"problem,omitempty"` // why it did not open when it was to; for those who keep it
	RegisterRules
	Apology *ApologyView `json:"apology,omitempty"` // one's own
}

// RegisterView is an attendance register; students see their own mark only.
type RegisterView struct {
	ID     string    `json:"id"`
	Title  string    `json:"title"`
	Group  string    `json:"group"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Open   bool      `json:"open"`
	Series string    `json:"series,omitempty"`
	RegisterRules
	Marks []MarkView `json:"marks"`
}

// MarkView is one person's attendance.
type MarkView struct {
	Person    string       `json:"person"`
	Name      string       `json:"name"`
	State     string       `json:"state"`  // expected, present, late, excused, absent
	Source    string       `json:"source"` // experiment, messages, confirmed, code, manual, apology, short, closed; empty while nothing is known
	Confirmed bool         `json:"confirmed"`
	FirstSeen time.Time    `json:"first_seen,omitzero"`
	LastSeen  time.Time    `json:"last_seen,omitzero"`
	Seconds   int          `json:"seconds"`          // time seen in the experiment
	Reason    string       `json:"reason,omitempty"` // of the last change by hand
	Apology   *ApologyView `json:"apology,omitempty"`
	Changes   []ChangeView `json:"changes,omitempty"` // by hand, oldest first; for those who keep the register
}

// ApologyView is what a member said for not coming.
type ApologyView struct {
	Words string    `json:"words"`
	Time  time.Time `json:"time"`
	State string    `json:"state"` // pending, accepted, declined
}

// ChangeView is a state that was entered by hand; an empty one left it to the rules
// again.
type ChangeView struct {
	State  string    `json:"state"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Time   time.Time `json:"time"`
}

// MarkRequest is the body of POST /api/v1/registers/{id}/marks, if it has one.
type MarkRequest struct {
	Code string `json:"code,omitempty"` // what the screen in the room shows
}

// MarkChange is the body of PUT /api/v1/registers/{id}/marks/{person}.
type MarkChange struct {
	State  string `json:"state"` // present, late, excused, absent; empty: by the rules again
	Reason string `json:"reason"`
}

// ApologyRequest is the body of POST /api/v1/registers/{id}/apology.
type ApologyRequest struct {
	Words string `json:"words"`
}

// ApologyDecision is the body of PUT /api/v1/registers/{id}/marks/{person}/apology.
type ApologyDecision struct {
	Accept bool `json:"accept"`
}

// ScreenView is what the screen in a room shows at a moment.
type ScreenView struct {
	Code  string    `json:"code"`
	Link  string    `json:"link"` // what the QR code says
	Until time.Time `json:"until"`
	Next  int       `json:"next"` // milliseconds until then
}

// ImportView is what a table makes of a register.
type ImportView struct {
	Applied bool           `json:"applied"`
	Marks   []ProposedView `json:"marks"`
	Added   []AdditionView `json:"added"`
	Same    int            `json:"same"` // lines that say what is there already
	Unread  []UnreadView   `json:"unread"`
}

// ProposedView is a mark that a table enters.
type ProposedView struct {
	Line   int    `json:"line"`
	Person string `json:"person"`
	Name   string `json:"name"`
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
}

// AdditionView is somebody whom a table adds to those expected.
type AdditionView struct {
	Line   int    `json:"line"`
	Person string `json:"person"`
	Name   string `json:"name"`
	Known  bool   `json:"known"` // of the group; else there is only the name
}

// UnreadView is a line of a table that was not understood.
type UnreadView struct {
	Line int    `json:"line"`
	Text string `json:"text"`
	Why  string `json:"why"`
}

// SummaryView is what closed registers say of one person together.
type SummaryView struct {
	Person  string `json:"person"`
	Name    string `json:"name"`
	Present int    `json:"present"`
	Late    int    `json:"late"`
	Excused int    `json:"excused"`
	Absent  int    `json:"absent"`
	Percent int    `json:"percent"` // there, late or not, of the hours that count
}
