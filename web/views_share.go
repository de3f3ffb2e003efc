package web

// The pages about lab partners.
const (
	PagePartners    = "partners"     // Partners
	PagePartnerJoin = "partner_join" // PartnerJoin
)

// Partners is /bookings/{id}/partners.
type Partners struct {
	Layout
	Booking Booking
	Control Control
	Link    string // just made, and shown this once
	May     bool   // the reader may let others in
	Partner bool   // the reader is one
}

// Control is who shares a booking and which of them has control, for one of them.
type Control struct {
	Booking string // id
	Owner   bool   // it is the reader's booking
	Mine    bool   // the reader has control
	Open    bool   // the booking is not over
	People  []Partner
}

// Shared reports whether there is anybody to share with.
func (c Control) Shared() bool { return len(c.People) > 1 }

// Partner is one of those who share a booking.
type Partner struct {
	ID, Name         string
	Owner, You, Asks bool
	Controls         bool
}

// PartnerJoin is /partner?key=, where a link to a booking leads.
type PartnerJoin struct {
	Layout
	Booking Booking
	By      string // whose booking it is
	Key     string
}
