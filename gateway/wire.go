package gateway

import "time"

// The JSON shapes of /api/v1, as gateway/openapi.yaml documents them. Times are
// RFC 3339 in UTC, durations whole seconds, ids opaque.

// Me answers GET /api/v1/me: who acts, through what.
type Me struct {
	Tenant   string      `json:"tenant"`
	Person   string      `json:"person"`
	Name     string      `json:"name"`
	Kind     string      `json:"kind"` // login or booking
	Groups   []string    `json:"groups"`
	Roles    []RoleView  `json:"roles"`
	Booking  string      `json:"booking,omitempty"` // with kind booking: the one booking it is limited to
	Session  SessionView `json:"session"`
	Topics   []string    `json:"topics"`   // what the message socket delivers now
	Audience []string    `json:"audience"` // what POST /api/v1/messages accepts from this person
}

// RoleView is a role within a scope.
type RoleView struct {
	Role  string `json:"role"`
	Scope string `json:"scope"`
}

// SessionView is one session as its owner or an administrator sees it.
type SessionView struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	Person     string    `json:"person,omitempty"`
	Name       string    `json:"name,omitempty"`
	Booking    string    `json:"booking,omitempty"`
	Experiment string    `json:"experiment,omitempty"` // of an experiment's code or a host's
	Scopes     []string  `json:"scopes,omitempty"`     // what a code opens
	Device     string    `json:"device,omitempty"`
	Address    string    `json:"address,omitempty"`
	State      string    `json:"state"` // pending, active, expired, revoked
	Idle       bool      `json:"idle"`
	Current    bool      `json:"current"`
	CreatedAt  time.Time `json:"created_at"`
	SeenAt     time.Time `json:"seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	// Sockets are counted in lists only.
	Sockets *SocketsView `json:"sockets,omitempty"`
}

// SocketsView counts what is open through a session on the node that answers.
type SocketsView struct {
	Messages int `json:"messages"` // message sockets and event streams
	Streams  int `json:"streams"`  // connections to relay topics
}

// BookingView is a booking as its owner sees it.
type BookingView struct {
	ID         string     `json:"id"`
	Reference  string     `json:"reference,omitempty"` // six characters; to its owner's login only
	Surname    string     `json:"surname"`
	Experiment string     `json:"experiment"`
	Title      string     `json:"title"` // the experiment's description, else its name
	Image      string     `json:"image,omitempty"`
	Group      string     `json:"group"`
	Policy     string     `json:"policy"`
	Slot       string     `json:"slot"`
	Pool       string     `json:"pool,omitempty"` // whatever experiment of this pool was asked for
	Start      time.Time  `json:"start"`
	End        time.Time  `json:"end"`
	ComeBy     time.Time  `json:"come_by,omitzero"` // it is cancelled then unless it was launched
	Shared     bool       `json:"shared,omitempty"` // somebody else's, with the reader
	May        []string   `json:"may"`              // what whoever reads this may do: see, launch, extend, cancel
	State      string     `json:"state"`            // booked, cancelled, ended
	Reason     string     `json:"reason,omitempty"`
	Online     bool       `json:"online"`         // whether the experiment is on-line
	Extend     []int      `json:"extend"`         // minutes that an extension may ask for now
	MessagesTo time.Time  `json:"messages_until"` // end of the right to its messages
	Links      BookingURL `json:"links"`

	version uint64 // for the ETag
}

// BookingURL are the addresses of a booking, relative to the gateway.
type BookingURL struct {
	Self   string `json:"self"`
	Launch string `json:"launch"`
	ICS    string `json:"ics"`
}

// BookRequest is the body of POST /api/v1/bookings. An Idempotency-Key header
// makes a repeated call answer with the same booking.
type BookRequest struct {
	Group   string    `json:"group"`
	Slot    string    `json:"slot,omitempty"`
	Pool    string    `json:"pool,omitempty"`    // instead of a slot: any experiment of it
	Start   time.Time `json:"start,omitzero"`    // absent: now
	Seconds int       `json:"seconds"`           // length
	Surname string    `json:"surname,omitempty"` // asked for when the institution gave none
	// OnBehalf books for a member of the group, or for a guest; for its instructors.
	OnBehalf *OnBehalf `json:"on_behalf,omitempty"`
}

// LookupRequest is the body of POST /api/v1/bookings/lookup.
type LookupRequest struct {
	Surname   string `json:"surname"`
	Reference string `json:"reference"`
}

// ExtendRequest is the body of POST …/{id}/extend.
type ExtendRequest struct {
	Seconds int `json:"seconds"`
}

// CancelRequest is the optional body of DELETE …/{id}.
type CancelRequest struct {
	Reason string `json:"reason,omitempty"`
}

// Activity answers POST …/{id}/activity: all that an experiment UI needs, with
// one more experiment code in each stream's token.
type Activity struct {
	Booking BookingView  `json:"booking"`
	Exp     int64        `json:"exp"` // end of the booking, Unix seconds
	UIs     []UIView     `json:"uis"`
	Streams []StreamView `json:"streams"`
}

// UIView is a way to operate the experiment; URL is ready to be framed, with
// {{streams}} and {{exp}} filled in.
type UIView struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// StreamView is one relay topic as practable UIs expect it in ?streams=.
type StreamView struct {
	For            string   `json:"for"`
	URL            string   `json:"url"` // POST here with Authorization: token
	Token          string   `json:"token"`
	ConnectionType string   `json:"connection_type"`
	Scopes         []string `json:"scopes"`
	Topic          string   `json:"topic"`
}

// MessageRequest is the body of POST /api/v1/messages.
type MessageRequest struct {
	To       string `json:"to"` // all, group:G, experiment:X, booking:B, user:P
	Title    string `json:"title,omitempty"`
	Text     string `json:"text"`
	Priority string `json:"priority,omitempty"` // info (default), important, safety
	Replies  bool   `json:"replies,omitempty"`  // whether its readers may reply; group:G only, where the catalogue allows it
	// At is when to send it, Expires until when it is shown: RFC 3339, or local
	// times such as 2026-05-04T09:00 in Zone, a name such as Europe/London.
	At      string `json:"at,omitempty"`
	Expires string `json:"expires,omitempty"`
	Zone    string `json:"zone,omitempty"`
}

// Accepted answers what was sent or put by.
type Accepted struct {
	ID       string    `json:"id"`
	Topic    string    `json:"topic"`
	Position string    `json:"position,omitempty"` // absent while it waits
	At       time.Time `json:"at,omitzero"`        // when it is to be sent, if it was put by
}

// Notice is the data of a lodge.notice event.
type Notice struct {
	Title    string `json:"title,omitempty"`
	Text     string `json:"text"`
	Priority string `json:"priority"`
	From     string `json:"from"`         // the sender's name
	By       string `json:"by,omitempty"` // the sender's id, by which their own clients know it for theirs
	To       string `json:"to"`
	ToName   string `json:"to_name,omitempty"` // the same in words
	// Expires is when it stops being shown.
	Expires time.Time `json:"expires,omitzero"`
	// Replies says that its readers may reply; InReplyTo and About make a notice a
	// reply: to which one, and what that was about.
	Replies   bool   `json:"replies,omitempty"`
	InReplyTo string `json:"in_reply_to,omitempty"`
	About     string `json:"about,omitempty"`
}

// ScheduledView is a message that waits for its time, or that was refused when it
// came.
type ScheduledView struct {
	ID       string    `json:"id"`
	To       string    `json:"to"`
	Title    string    `json:"title,omitempty"`
	Text     string    `json:"text"`
	Priority string    `json:"priority"`
	Replies  bool      `json:"replies,omitempty"`
	At       time.Time `json:"at"`
	Expires  time.Time `json:"expires,omitzero"`
	State    string    `json:"state"`            // waiting, sending, refused
	Reason   string    `json:"reason,omitempty"` // why it was refused
}

// ReplyRequest is the body of POST /api/v1/messages/{id}/replies.
type ReplyRequest struct {
	Text string `json:"text"`
}

// MessageView is a sent or received message in a history.
type MessageView struct {
	ID       string    `json:"id"`
	Topic    string    `json:"topic"`
	Position string    `json:"position"`
	Type     string    `json:"type"`
	Time     time.Time `json:"time"`
	Data     any       `json:"data"`
}

// WaitingView answers GET /api/v1/messages/waiting: what the caller has not
// acknowledged yet, safety first, then the oldest first; and how many surveys and
// registers wait for them.
type WaitingView struct {
	Messages  []MessageView `json:"messages"`
	Surveys   int           `json:"surveys"`   // to be answered
	Registers int           `json:"registers"` // in which they can confirm now that they are there
}

// AudiencesView answers GET /api/v1/messages/audiences: of people the first, by name,
// and whether there are more.
type AudiencesView struct {
	Audiences []AudienceView `json:"audiences"`
	More      bool           `json:"more"`
}

// AudienceView is what a message can be sent to, and how many people that reaches now.
type AudienceView struct {
	To    string `json:"to"`
	Name  string `json:"name,omitempty"` // of the group, experiment or person
	Reach int    `json:"reach"`
}

// ReceiptsView answers GET /api/v1/messages/{id}/receipts. The numbers are of
// everybody, the people those of one page, by id.
type ReceiptsView struct {
	ID        string `json:"id"`
	Sent      int    `json:"sent"` // people it reaches
	Delivered int    `json:"delivered"`
	Read      int    `json:"read"`
	Online    int    `json:"online"`
	// Acknowledge says that the message asks for it: who has read it has
	// acknowledged it.
	Acknowledge bool          `json:"acknowledge"`
	People      []ReceiptView `json:"people"`
	After       string        `json:"after,omitempty"` // where the next page begins; absent on the last one
}

// ReceiptView is one recipient's receipt.
type ReceiptView struct {
	Person string `json:"person"`
	Name   string `json:"name"`
	State  string `json:"state"` // sent, delivered, read; acknowledged where that is asked for
	Online bool   `json:"online"`
}

// ExperimentView is an experiment as its technician sees it.
type ExperimentView struct {
	Experiment string       `json:"experiment"`
	Title      string       `json:"title"`
	Online     bool         `json:"online"`
	Reason     string       `json:"reason,omitempty"`
	Peers      []PeerView   `json:"peers"`
	Booking    *BookingView `json:"booking,omitempty"` // the one under way

	owner string // by name, whose booking that is
}

// PeerView is one live relay connection.
type PeerView struct {
	Topic       string    `json:"topic"`
	Kind        string    `json:"kind"`
	Name        string    `json:"name,omitempty"`
	ConnectedAt time.Time `json:"connected_at"`
}

// ExperimentStateRequest is the body of PUT /api/v1/admin/experiments/{id}/state.
type ExperimentStateRequest struct {
	Online bool   `json:"online"`
	Reason string `json:"reason,omitempty"`
}

// CodeRequest is the body of POST /api/v1/admin/codes.
type CodeRequest struct {
	Kind       string   `json:"kind"` // host, service
	Experiment string   `json:"experiment,omitempty"`
	Scopes     []string `json:"scopes,omitempty"`
	Name       string   `json:"name,omitempty"`     // of a service: whom its messages are from
	Audience   []string `json:"audience,omitempty"` // of a service: experiment:ID; absent: the whole tenant; to send to: also group:ID, all
	Seconds    int      `json:"seconds,omitempty"`  // life; absent: ten years for hosts, one for services
}

// CodeView answers it; the code is shown this once.
type CodeView struct {
	Code    string      `json:"code"`
	Session SessionView `json:"session"`
}

// RemainingView answers GET /api/v1/experiment, called by an experiment UI with
// its code: the clock it needs, and where messages are.
type RemainingView struct {
	Booking    string    `json:"booking"`
	Experiment string    `json:"experiment"`
	Title      string    `json:"title"`
	Now        time.Time `json:"now"`
	End        time.Time `json:"end"`
	State      string    `json:"state"` // active, pending, expired, revoked
	Reason     string    `json:"reason,omitempty"`
	Extend     []int     `json:"extend"` // minutes

	Streams []RemainingStream `json:"streams"`
}

// RemainingStream is a stream that the code of the request opens.
type RemainingStream struct {
	For            string   `json:"for"`
	URL            string   `json:"url"` // POST here with Authorization: code
	ConnectionType string   `json:"connection_type"`
	Scopes         []string `json:"scopes"`
	Topic          string   `json:"topic"`
}

// TicketView answers POST /api/v1/messages/ticket: a websocket address good for
// one connection within 30 seconds.
type TicketView struct {
	URI string `json:"uri"`
}

// Problem is an RFC 9457 problem document.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}
