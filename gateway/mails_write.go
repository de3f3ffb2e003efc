package gateway

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/mail"
	"github.com/lodge-gateway/lodge/web"
)

// write writes a letter from what is known now: who has the booking, where they
// are written to and in which language, how the booking stands. errNobody when
// that leaves nothing to write.
func (p postman) write(ctx context.Context, m booking.Mail) (mail.Letter, error) {
	now := p.clock.Now()
	if !m.Until.IsZero() && !now.Before(m.Until) {
		return mail.Letter{}, errNobody
	}
	view, person, calendar, err := p.about(ctx, m)
	if err != nil {
		return mail.Letter{}, err
	}
	box, who, err := p.mailboxOf(ctx, m, person)
	if err != nil {
		return mail.Letter{}, err
	}
	view.Name = orElse(view.Name, who.Name)
	if who.Guest {
		view.Open = view.Lookup // a guest has no account to sign in with
	}
	if m.Kind == booking.MailLink {
		link, err := p.desk.NewLink(ctx, m.Tenant, m.Booking, m.Until)
		if err != nil {
			return mail.Letter{}, err
		}
		view.Open = p.cfg.PublicURL + linkPath + "?key=" + url.QueryEscape(link)
	}
	say := p.pages.Choose(box.Language, p.cfg.MailLanguage)
	zone := cmp.Or(p.cfg.Zone, time.UTC)
	view.Start, view.End, view.Until = view.Start.In(zone), view.End.In(zone), m.Until.In(zone)
	if m.Until.IsZero() {
		view.Until = m.Until
	}
	text, err := p.pages.Mail(say, view)
	if err != nil {
		return mail.Letter{}, err
	}
	return mail.Letter{
		ID: "lodge-" + m.ID, To: box.Address, Name: view.Name, Subject: text.Subject, Language: say.Language(),
		Text: text.Text, HTML: text.HTML, Calendar: calendar, At: now,
	}, nil
}

// about gathers what a letter tells, whom it is for, and the calendar file that
// goes with it.
func (p postman) about(ctx context.Context, m booking.Mail) (view web.Mail, person lodge.PersonID, calendar string, err error) {
	cat, err := p.desk.Catalogue(ctx, m.Tenant)
	if err != nil {
		return view, "", "", err
	}
	at := p.cfg.PublicURL
	view = web.Mail{Kind: string(m.Kind), Reason: m.Reason, Lookup: at + "/lookup", Book: at + "/book", Settings: at + mailPath, Site: hostname(at)}
	if m.Kind == booking.MailOffer {
		view.Open, view.Start, view.End = view.Book, m.Free.Start, m.Free.End
		view.Title = describe(cat, cat.Slots[m.Pool].Experiment).title
		if pool, ok := cat.Pools[m.Pool]; ok {
			view.Title = cat.Title(pool.Description, m.Pool)
		}
		return view, m.Person, "", nil
	}
	if m.Booking == "" {
		return view, "", "", errNobody
	}
	b, err := p.desk.Get(ctx, m.Tenant, m.Booking)
	if err != nil {
		return view, "", "", err
	}
	if b.State == booking.Cancelled && m.Kind != booking.MailCancelled && m.Kind != booking.MailLink {
		return view, "", "", errNobody // what it says is over; that it is, another letter says
	}
	view.Name, view.Title, view.Open = b.OwnerName, describe(cat, b.Experiment).title, at+"/bookings/"+b.ID
	view.Start, view.End = b.Start, b.End
	if m.Kind != booking.MailLink && b.State == booking.Booked {
		if view.Reference, err = p.desk.Reference(ctx, b); err != nil {
			return view, "", "", err
		}
	}
	if m.Kind != booking.MailLink {
		calendar = p.icsOf(b, view.Title)
	}
	return view, b.Owner, calendar, nil
}

// guestsMade is how long after a booking its guest may be written down.
const guestsMade = time.Minute

// mailboxOf returns somebody and where they are written to; errNobody when there
// is no address, or they do not want this.
func (p postman) mailboxOf(ctx context.Context, m booking.Mail, id lodge.PersonID) (box idp.Mailbox, who idp.Person, err error) {
	found, err := p.persons.Get(ctx, m.Tenant, id)
	if err != nil {
		return box, who, err
	}
	switch {
	case len(found) == 0 && p.clock.Now().Sub(m.At) < guestsMade:
		return box, who, errors.New("the guest of a booking is not written down yet")
	case len(found) == 0 || found[0].Disabled:
		return box, who, errNobody
	}
	if box, err = p.persons.Mailbox(ctx, m.Tenant, id); err != nil {
		return box, who, err
	}
	asked := m.Kind == booking.MailLink // by whom it is for, we hope: it is no news
	if box.Address == "" || box.Off && !asked || box.NoReminders && m.Kind == booking.MailReminder {
		return box, who, errNobody
	}
	return box, found[0], nil
}
