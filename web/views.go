package web

import "time"

// Layout is what every page has around its content. Embed it by value.
type Layout struct {
	Title   string    // of the page, without the site's name
	Nav     string    // the section to mark in the navigation: a Page… name
	Path    string    // path and query of this page, for links that come back
	Here    string    // where the page is read again, if not at the address it was sent from
	Site    string    // the institution's name; empty shows "Lodge" alone
	Person  *Person   // nil when nobody is signed in
	Flash   string    // what the step before this page achieved, once
	Problem *Problem  // what was wrong with the form sent; shown above it
	SignIn  string    // where to sign in without leaving the page; empty where that may be left
	Filled  *Filled   // that form, if it is shown again
	Now     time.Time // the server's clock
	Unread  int       // messages not read yet
	Say     *Printer  // the reader's language; nil is English
	// ToAnswer and ToConfirm are how many surveys wait for an answer, and how many
	// registers for a tap.
	ToAnswer, ToConfirm int
	// Zone is where the page's times are said: the reader's, else the
	// institution's; nil is UTC.
	Zone *time.Location
	// Resume is the position per topic that the page's content includes, so read
	// it before the content; the message socket goes on from there. A topic that
	// is absent is replayed from the server's history: messages the page already
	// shows are known by their ids.
	Resume map[string]string
}

// Person is who acts, and which sections they are offered. What they may do is
// decided by the gateway, never by a page.
type Person struct {
	ID            string
	Name          string
	Kind          string // login or booking
	Booking       string // with kind booking, the one booking they may see
	Instructor    bool
	Technician    bool
	Organiser     bool
	Administrator bool
}

// Problem tells what was refused and how to mend it. Fields gives a sentence per
// form field, shown at the field.
type Problem struct {
	Title  string
	Detail string
	Fields map[string]string
}

// Home is / for somebody signed in and for a visitor.
type Home struct {
	Layout
	Issuers   []Issuer  // visitor
	Bookings  []Booking // coming and under way first
	Past      []Booking
	Groups    []Group
	Messages  []Message // latest, newest first
	Surveys   []Survey
	Registers []Register
	HandIns   []HandIn
	Lookup    LookupForm
}

// Login is /login, the chooser of issuers.
type Login struct {
	Layout
	Issuers []Issuer
	Lookup  LookupForm
}

// Issuer is a way to sign in; URL starts it.
type Issuer struct{ ID, Name, URL string }

// Lookup is /lookup.
type Lookup struct {
	Layout
	Form    LookupForm
	Limited bool // there were too many tries: other ways are offered,
	Mails   bool // a mailed link among them
}

// LookupForm is what was typed.
type LookupForm struct{ Surname, Reference string }

// BookingPage is /bookings/{id}.
type BookingPage struct {
	Layout
	Booking   Booking
	Longest   time.Time // the latest end that would have been accepted; zero: none is known
	Surveys   []Survey
	Registers []Register
}

// Longer is by how many seconds the booking can be extended to the latest end.
func (p BookingPage) Longer() int { return int(p.Longest.Sub(p.Booking.End) / time.Second) }

// Booking is a booking as its owner, or an instructor, sees it.
type Booking struct {
	ID         string
	Reference  string // six characters; empty hides it
	Surname    string
	Owner      string // display name; on instructors' pages
	Experiment string
	Title      string // the experiment's description, else its name
	Image      string
	Group      string
	Policy     string
	Slot       string
	Start, End time.Time
	State      string // booked, cancelled, ended
	Reason     string
	Online     bool
	Extend     []int     // minutes that an extension may ask for now
	ComeBy     time.Time // it is cancelled then unless it was launched; zero: never
	May        []string  // what the reader may do: see, launch, extend, cancel
	MessagesTo time.Time
	UIs        []UI
}

// UI is one way to operate the experiment. URL is ready to be framed and set on
// the launch page only.
type UI struct{ Name, Title, URL string }

// Group is a group of the person's, with what it may book.
type Group struct {
	Name  string
	Title string
	Slots []Slot // may be empty on the first page
}

// Book is /book?group=&day=&by=: a calendar of some days, and one of them.
type Book struct {
	Layout
	Group       Group
	Groups      []Group // the others, to change over
	From, Until time.Time
	Days        []Day
	By          string // ByTime, or empty: by experiment
	// Earlier and Later are days of the pages before and after; empty where there is
	// none.
	Earlier, Later string
	AskSurname     bool // the institution gave none
	Form           BookForm
}

// BookForm is what was typed. Key makes a repeated post one booking.
type BookForm struct {
	Day     string // as an address has it; empty: today
	Slot    string
	Start   string // RFC 3339; empty: now
	Seconds int
	Surname string
	Key     string
}

// Slot is one slot of a group with the intervals that can still be booked.
type Slot struct {
	Slot       string
	Policy     string
	Experiment string
	Title      string
	Short      string
	Image      string
	Online     bool
	MinSeconds int
	MaxSeconds int
	Guides     []int // lengths that the policy's display guides suggest, in seconds, in their order
	Free       []Interval
}

// Interval is half open.
type Interval struct{ Start, End time.Time }

// Launch is /launch/{id}?ui=. UI is nil while the experiment cannot be shown
// (not begun, off-line, cancelled, ended); the messages stay.
type Launch struct {
	Layout
	Booking   Booking
	Partner   bool // it is somebody else's, who shares it
	Control   Control
	UI        *UI
	UIs       []UI   // all, to change over; without URL
	Closed    string // why there is no UI, in words; empty with a UI
	Messages  []Message
	Surveys   []Survey
	Registers []Register
	HandIns   []HandIn // that take work now
}

// Messages is /messages, newest first.
type Messages struct {
	Layout
	Messages []Message
	Older    string // address of the next page; empty at the end
}

// Message is one received message.
type Message struct {
	ID       string
	Topic    string
	Position string
	Type     string
	Time     time.Time
	Title    string
	Text     string
	Priority string // info, important, safety
	From     string
	To       string // in words: "everyone", "group Physics 1"
	Unread   bool
	Own      bool   // the reader sent it
	About    string // of a reply: what the notice it is to was about
	// Replies offers to reply; Reply is what was typed in one that was refused, and
	// Key makes a repeated post one reply.
	Replies    bool
	Reply, Key string
}

// Asks reports whether the message waits for its reader to acknowledge it.
func (m Message) Asks() bool {
	return m.Unread && (m.Priority == "important" || m.Priority == "safety")
}

// ReplyForm is a reply as typed to the message with an ID.
type ReplyForm struct{ ID, Text, Key string }

// Sessions is /sessions: the reader's own.
type Sessions struct {
	Layout
	Sessions []Session
}

// Session is one session.
type Session struct {
	ID        string
	Kind      string
	Person    string
	Name      string
	Booking   string
	Device    string
	Address   string
	State     string // pending, active, expired, revoked
	Idle      bool
	Current   bool
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time

	Experiment string   // of an experiment's code or a host's
	Scopes     []string // what a service's code opens
	Sockets    Sockets
}

// Sockets counts what is open through a session on this node.
type Sockets struct{ Messages, Streams int }

// Teach is /teach. Its forms share field names, so the keys of Problem.Fields
// are prefixed here: notice-to, notice-title, notice-text.
type Teach struct {
	Layout
	Audience  Audiences
	Notice    NoticeForm
	Sent      []Sent // newest first
	Scheduled []Scheduled
	Inbox     bool       // the reader's groups may reply to notices
	Replies   []Message  // newest first
	Surveys   []Survey   // open
	Registers []Register // open
	Bookings  []Booking  // under way
	Present   []Present
	Groups    []Group // those the reader looks after
}

// Audiences is a choice of whom to reach: of people the first, or those who were
// looked for.
type Audiences struct {
	All  []Audience
	Find string // what was looked for
	More bool   // there are others, to be looked for
	None bool   // nothing holds what was looked for: these are the first of all
}

// Audience is one value of `to` with its words and how many people it reaches
// (negative: unknown).
type Audience struct {
	Value string
	Label string
	Reach int
}

// NoticeForm is what was typed. Key makes a repeated post one message. At and
// Expires are times as a datetime-local field has them, in Zone.
type NoticeForm struct {
	To, Title, Text, Priority, Key string
	Replies                        bool
	At, Expires, Zone              string
}

// ScheduledPage is /teach/notices/{id}: a message that waits, to change it.
type ScheduledPage struct {
	Layout
	ID       string
	Audience Audiences
	Notice   NoticeForm
}

// Scheduled is a message that waits for its time, or was refused when it came.
type Scheduled struct {
	ID, To, Title, Text, Priority string
	At, Expires                   time.Time
	State                         string // waiting, sending, refused
	Reason                        string
}

// Sent is one message sent, with its receipts.
type Sent struct {
	Message
	Sent, Delivered, Read, Online int
	Acknowledge                   bool // who has read it has acknowledged it
	Expired                       bool
	People                        []Receipt
}

// Receipt is one recipient's receipt.
type Receipt struct {
	Person, Name string
	State        string // sent, delivered, read, acknowledged
	Online       bool
}

// Rigs is /rigs: the experiments of a technician.
type Rigs struct {
	Layout
	Experiments []Experiment
	Silent      int // nodes that do not answer: their connections are not listed
}

// Experiment is one rig.
type Experiment struct {
	Experiment string
	Title      string
	Online     bool
	Reason     string
	Typed      string // the reason typed in a form that was refused
	Peers      []Peer
	Booking    *Booking // the one under way
	History    []AuditEntry
}

// Peer is one live relay connection.
type Peer struct {
	Topic       string
	Kind        string
	Name        string
	ConnectedAt time.Time
	In, Out     float64 // messages a second from it and to it
	Dropped     uint64  // messages that did not reach it, or came from it and went nowhere
}

// Admin is /admin.
type Admin struct {
	Layout
	Query    string // what sessions were searched for
	Kind     string // the kind of session asked for; empty: all
	Sessions []Session
	More     int    // further sessions that match and are not shown
	Further  string // address that shows more of them; empty when there are no more, or too many
}

// AdminEnd is /admin/end: what an administrator is about to end.
type AdminEnd struct {
	Layout
	Target   Target
	Sessions []Session // some of those that end
	More     int       // how many beside them
}

// Target says whose sessions: exactly one of its fields is set.
type Target struct {
	Session, Person, Kind string
	All                   bool
}

// Audit is /admin/audit, newest first.
type Audit struct {
	Layout
	Form    AuditForm
	Actions []string // that can be asked for
	Entries []AuditEntry
	Newer   string // address of the page before; empty at the beginning
	Older   string // address of the next page; empty at the end
}

// AuditForm is what was asked for; times as a datetime-local field has them, in
// UTC.
type AuditForm struct{ Who, Action, From, Until string }

// AuditEntry is one entry of the audit trail.
type AuditEntry struct {
	Seq                uint64
	Time               time.Time
	Actor, ActorName   string // the name is empty for who is no person
	Action             string
	Object, ObjectName string
	Reason, Address    string
}

// ProblemPage is the page of any error. Layout.Title is its heading.
type ProblemPage struct {
	Layout
	Status int
	Detail string // what happened and what to do
	Code   string // "idle" asks to continue: a form posts Layout.Path to /continue
	// Confirm, if any, is where somebody proves anew who they are, to do this again.
	Confirm string
	// Held is the form that was refused, to be sent again; nil when none was sent.
	Held *Held
}
