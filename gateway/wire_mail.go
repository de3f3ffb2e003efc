package gateway

// MailView answers GET and PUT /api/v1/me/mail: where somebody is written to, and
// what they want.
type MailView struct {
	Sends     bool   `json:"sends"`             // the laboratory sends mail
	Address   string `json:"address,omitempty"` // shortened for who opened a booking by its reference
	Bookings  bool   `json:"bookings"`          // mail about bookings, made, changed, and free ones
	Reminders bool   `json:"reminders"`         // reminders, as messages and mail
}

// MailChoice is the body of PUT /api/v1/me/mail; both are to be there.
type MailChoice struct {
	Bookings  *bool `json:"bookings"`
	Reminders *bool `json:"reminders"`
}

// LinkRequested answers POST /api/v1/bookings/lookup/link, whether a link was sent
// or not.
type LinkRequested struct {
	Minutes int `json:"minutes"` // how long a link opens its booking
}
