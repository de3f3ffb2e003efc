package web

import "time"

// Attendance is /attendance: the reader's own record.
type Attendance struct {
	Layout
	Open   []Register // to confirm
	Coming []Register // planned
	Past   []Register
	Total  PersonTotal // of Past
	Coded  bool        // a register of theirs takes a code now
	Code   string      // as typed, where it was not good
}

// Register is an attendance register. Mine is the reader's own mark; Marks is
// filled on instructors' pages only.
type Register struct {
	ID         string
	Title      string
	Group      string // in words
	Start, End time.Time
	Open       bool
	Planned    bool   // it opens by itself
	Series     bool   // it is one of several
	Problem    string // why it did not open when it was to
	Coded      bool   // it has codes for a screen
	Late       int    // minutes
	Least      int
	Room       bool
	Mine       Mark
	Marks      []Mark
	CSV        string // address of the export
	Apologises bool   // the reader may still say why they do not come
}

// Mark is one person's attendance.
type Mark struct {
	Person    string
	Name      string
	State     string // expected, present, late, excused, absent
	Source    string // experiment, messages, confirmed, code, manual, apology, short, closed
	Confirmed bool
	FirstSeen time.Time
	LastSeen  time.Time
	Seconds   int
	Reason    string // of the last change by hand
	Apology   Apology
	Changes   []MarkChange
}

// Apology is what somebody said for not coming; without words there is none.
type Apology struct {
	Words string
	State string // pending, accepted, declined
}

// MarkChange is a state that was entered by hand; an empty one left it to the rules.
type MarkChange struct {
	State, Reason, By string
	Time              time.Time
}

// PersonTotal is what closed registers say of one person together.
type PersonTotal struct {
	Person, Name                   string
	Present, Late, Excused, Absent int
	Percent                        int
}

// Any reports whether there is anything to add up.
func (t PersonTotal) Any() bool { return t.Present+t.Late+t.Excused+t.Absent > 0 }

// Registers is /teach/registers.
type Registers struct {
	Layout
	Groups  []Group // whose registers the reader keeps
	Form    SeriesForm
	Open    []Register
	Planned []Register
	Past    []Register
	Totals  []GroupTotals
}

// GroupTotals are the people of a group with what its registers say.
type GroupTotals struct {
	Group  Group
	People []PersonTotal
	CSV    string
}

// SeriesForm is what was typed. Start is a time as a datetime-local field has it, in
// Zone; without one the register opens now. Key makes a repeated post one series.
type SeriesForm struct {
	Title, Group, Start, Zone   string
	Minutes, Times, Late, Least string
	Room                        bool
	Key                         string
}

// RegisterPage is /teach/registers/{id}.
type RegisterPage struct {
	Layout
	Register Register
	Chosen   string // whose mark is being changed, with what was typed
	State    string
	Reason   string
	Import   *RegisterImport
}

// RegisterImport is what a table makes of a register. Table is handed back to be
// applied.
type RegisterImport struct {
	Table  string
	Names  bool
	Marks  []ImportedMark
	Added  []ImportedName
	Same   int
	Unread []UnreadLine
}

// Nothing reports whether there is nothing to apply.
func (i RegisterImport) Nothing() bool { return len(i.Marks)+len(i.Added) == 0 }

// ImportedMark is a mark that a table enters.
type ImportedMark struct {
	Line                   int
	Name, From, To, Reason string
}

// ImportedName is somebody whom a table adds.
type ImportedName struct {
	Line  int
	Name  string
	Known bool
}

// UnreadLine is a line that was not understood.
type UnreadLine struct {
	Line      int
	Text, Why string
}

// RegisterScreen is /teach/registers/{id}/screen, for the wall of a room.
type RegisterScreen struct {
	Layout
	Register Register
	Code     string // empty: it is closed
	Address  string // where the code is typed
	QR       string // outline of the QR code
	Size     int    // how many modules wide it is
	Until    time.Time
	Next     int // milliseconds until then
}

// States are the marks that can be entered by hand.
func (RegisterPage) States() []string { return []string{"present", "late", "excused", "absent"} }

// What a table is found to have (attendance.Unread), and the reason of a mark that
// came in one without.
var _ = [...]string{
	Text("It names nobody."), Text("Its mark is none of present, late, excused, absent."), Text("It is too long."), Text("The table has too many lines."),
	Text("From here on its quotation marks do not match."), Text("Several people have this name; add the column “person”."),
	Text("This person stands in the table twice; the first line counts."), Text("Nobody of this name is in the register, and it is closed."),
	Text("Nobody of the group is known by this name."),
}
