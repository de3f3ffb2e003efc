package web

// The pages about mail, each with the view it renders.
const (
	PageMail       = "mail"        // MailPage
	PageLookupLink = "lookup_link" // LookupLink
)

// MailPage lets somebody choose what they are written.
type MailPage struct {
	Layout
	Sends               bool   // the laboratory sends mail
	Address             string // empty: none is known
	Bookings, Reminders bool
}

// LookupLink goes on from a mailed link, or, without a Key, says that one may be
// on its way.
type LookupLink struct {
	Layout
	Key string
}
