package gateway

import (
	"context"
	"net/http"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
	"github.com/lodge-gateway/lodge/internal/mail"
	"github.com/lodge-gateway/lodge/sessions"
)

// OnBehalf names for whom somebody else books: a member of the group by their id,
// or a guest by name.
type OnBehalf struct {
	Person  string `json:"person,omitempty"`
	Name    string `json:"name,omitempty"`
	Surname string `json:"surname,omitempty"` // also of a member whose institution gave none
	Email   string `json:"email,omitempty"`   // a guest's: where confirmations go
}

// maxGuestName bounds a guest's name, in characters.
const maxGuestName = 200

// bookOnBehalf makes a booking for somebody else; mayBookFor has allowed it.
func (g *Gateway) bookOnBehalf(ctx context.Context, s sessions.Session, req booking.Request, who OnBehalf) (booking.Booking, string, error) {
	if who.Person == "" {
		return g.bookForGuest(ctx, s, req, who)
	}
	members, err := g.membersOf(ctx, s.Tenant, req.Group, []string{who.Person})
	if err != nil {
		return booking.Booking{}, "", err
	}
	m := members[0]
	if m.Surname == "" {
		m.Surname = who.Surname
	}
	req.Person, req.Name, req.Surname, req.Groups = m.Person, m.Name, m.Surname, []string{req.Group}
	b, _, err := g.desk.Book(ctx, req)
	return b, "", err // the reference is for its owner's eyes
}

// bookForGuest makes a booking for a guest, a person of their own until somebody
// claims them. The booking comes first, so that a refused one leaves nobody
// behind; a retry with its key finds both.
func (g *Gateway) bookForGuest(ctx context.Context, s sessions.Session, req booking.Request, who OnBehalf) (booking.Booking, string, error) {
	if who.Name == "" || len([]rune(who.Name)) > maxGuestName {
		return booking.Booking{}, "", lodge.E(lodge.CodeRefused, "Say whom the booking is for: a name of at most 200 characters.")
	}
	var address string
	if who.Email != "" {
		var ok bool
		if address, ok = mail.Address(who.Email); !ok {
			return booking.Booking{}, "", lodge.E(lodge.CodeRefused, "That is no e-mail address; write it like ada@example.org, or leave it out.")
		}
	}
	req.Person, req.Name, req.Surname, req.Groups = idp.NewPersonID(), who.Name, who.Surname, []string{req.Group}
	if req.Key != "" {
		req.Person = lodge.PersonID("guest-" + keyID(senderOf(s), req.Key))
	}
	b, reference, err := g.desk.Book(ctx, req)
	if !happened(err) {
		return b, reference, err
	}
	// First the address: whoever finds the guest is to find it too.
	if address != "" {
		if failed := g.persons.NoteMailbox(ctx, s.Tenant, req.Person, address, ""); failed != nil {
			return b, reference, failed
		}
	}
	if _, failed := g.persons.Guest(ctx, s.Tenant, req.Person, who.Name, who.Surname); failed != nil {
		return b, reference, failed
	}
	return b, reference, err
}

// claim makes a guest, found by surname and reference of a booking, one with the
// person who is signed in.
func (g *Gateway) claim(w http.ResponseWriter, r *http.Request) error {
	s, err := g.person(r)
	if err != nil {
		return err
	}
	var req LookupRequest
	if err := readJSON(w, r, g.cfg.MaxBody, &req); err != nil {
		return err
	}
	b, err := g.claimGuest(r.Context(), s, req.Surname, req.Reference)
	if err != nil {
		return err
	}
	view, err := g.bookingView(r.Context(), b, true)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"booking": view})
}

// claimGuest is the claim by a login. The guest's bookings, answers, marks and
// receipts become its person's; sessions that the reference opened go on. A
// booking of anybody who is no guest is a miss like all others; claiming one's
// own again changes nothing.
func (g *Gateway) claimGuest(ctx context.Context, s sessions.Session, surname, reference string) (b booking.Booking, err error) {
	defer func() {
		if err != nil && decided(err) {
			g.recordLookup(ctx, s, err)
		}
	}()
	if b, err = g.desk.Lookup(ctx, s.Tenant, surname, reference, addressOf(ctx)); err != nil || b.Owner == s.Person {
		return b, err
	}
	owner, err := g.persons.Get(ctx, s.Tenant, b.Owner)
	if err != nil {
		return b, err
	}
	if len(owner) == 0 || !owner[0].Guest || owner[0].Disabled || owner[0].MergedInto != "" {
		return b, booking.Missed()
	}
	m, err := g.persons.Merge(ctx, idp.Merge{Tenant: s.Tenant, From: b.Owner, Into: s.Person, Claim: true, By: s.Person, At: g.clock.Now()})
	if err != nil {
		return b, err
	}
	g.recordBy(ctx, s, audit.Claim, "person:"+string(m.From), "guest of booking "+b.ID)
	if err := (merges{g}).now(ctx, m); err != nil {
		return b, err
	}
	return g.desk.Get(ctx, s.Tenant, b.ID)
}
