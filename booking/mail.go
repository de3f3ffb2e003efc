package booking

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A MailKind says what a mail is about.
type MailKind string

// The kinds of mail. Those about what happened to a booking are called as the
// effect is that they go with.
const (
	MailBooked    MailKind = "booked"
	MailMoved     MailKind = "moved"
	MailExtended  MailKind = "extended"
	MailCancelled MailKind = "cancelled"
	MailRotated   MailKind = "rotated"
	MailReminder  MailKind = "reminder"
	MailOffer     MailKind = "offer" // something that the person waits for is free
	MailLink      MailKind = "link"  // opens a booking instead of surname and reference
)

// aboutBookings are the kinds that an effect on a booking is followed by.
var aboutBookings = []MailKind{MailBooked, MailMoved, MailExtended, MailCancelled, MailRotated, MailReminder}

// A Mail waits to be written and sent. It is queued in the transaction that gave
// rise to it, and holds nothing but what it is about: address, reference and text
// are put in when it is sent, from what is known then.
type Mail struct {
	ID      string // the same at every attempt
	Tenant  lodge.Tenant
	Kind    MailKind
	Booking string         // empty for MailOffer, and for a MailLink that nobody gets
	Person  lodge.PersonID // whom MailOffer is for; of all others the booking's owner
	Pool    string         // MailOffer: the pool they wait for, else the slot
	Reason  string
	Free    Interval  // MailOffer: what can be booked
	Until   time.Time // worth nothing from then on; zero: no such time
	At      time.Time // when it was queued
	Tries   int       // how often it was taken
}

// Mails keep what waits to be sent.
type Mails interface {
	// PutMail adds a mail. Of two with one id the first stays.
	PutMail(Mail) error
	// DueMails returns mails of all tenants that may be taken now, the longest due
	// first; at most limit.
	DueMails(now time.Time, limit int) ([]Mail, error)
	// TakeMail gives a mail to a node, alone, until a time, and counts the attempt.
	// It reports false when it may not be taken now: another node has it, an
	// attempt failed a moment ago, or it is gone.
	TakeMail(t lodge.Tenant, id, node string, now, until time.Time) (bool, error)
	// PostponeMail gives a mail back, for somebody to take from then on. It does
	// nothing when the mail is not the node's any more.
	PostponeMail(t lodge.Tenant, id, node string, then time.Time) error
	// DropMail removes a mail. It does nothing when it is not the node's any more.
	DropMail(t lodge.Tenant, id, node string) error
}

// An Offer is what somebody on a waiting list is told of.
type Offer struct {
	ID     string // the mail's: the same again is one mail
	Tenant lodge.Tenant
	Person lodge.PersonID
	Pool   string // what they wait for; empty: the slot
	Slot   string // what they can have
	Free   Interval
	Until  time.Time // the offer holds so long; zero: until somebody takes it
}

// MailOffer queues the mail about an offer, in the transaction that makes it.
func (d *Desk) MailOffer(tx Tx, o Offer) error {
	return d.post(tx, Mail{ID: o.ID, Tenant: o.Tenant, Kind: MailOffer, Person: o.Person, Pool: cmp.Or(o.Pool, o.Slot), Free: o.Free, Until: o.Until, At: d.now()})
}

// post queues a mail, where mail is sent at all.
func (d *Desk) post(tx Tx, m Mail) error {
	if !d.opts.Mail {
		return nil
	}
	return tx.PutMail(m)
}

// follow queues what follows from a change of a booking: its effect, the mail
// about it, and when to remind its owner.
func (d *Desk) follow(tx Tx, e Effect) error {
	snap, err := d.snapshot(tx, e.Tenant)
	if err != nil {
		return err
	}
	return d.followIn(tx, snap, e)
}

// followIn is follow with the catalogue as the transaction sees it.
func (d *Desk) followIn(tx Tx, snap *snapshot, e Effect) error {
	if err := tx.Enqueue(bookingSubject(e.Booking).Name, e); err != nil {
		return err
	}
	if e.Kind != EffectReminder {
		if err := d.setReminders(tx, snap, e.Booking); err != nil {
			return err
		}
	}
	kind := MailKind(e.Kind)
	if !slices.Contains(aboutBookings, kind) {
		return nil
	}
	m := Mail{ID: e.ID, Tenant: e.Tenant, Kind: kind, Booking: e.Booking.ID, Reason: e.Reason, At: e.At}
	if kind == MailReminder {
		m.Until = e.Booking.Start
	}
	return d.post(tx, m)
}

// TakeMails returns up to limit mails that are this desk's alone to send within
// hold, and to Sent, Postpone or drop with Sent. One that is not given back in
// time another desk takes.
func (d *Desk) TakeMails(ctx context.Context, limit int, hold time.Duration) ([]Mail, error) {
	var due, taken []Mail
	err := d.store.View(ctx, func(tx Tx) (err error) {
		due, err = tx.DueMails(d.now(), limit)
		return err
	})
	if err != nil || len(due) == 0 {
		return nil, outward(err)
	}
	err = d.store.Update(ctx, func(tx Tx) error {
		taken = nil
		now := d.now()
		for _, m := range due {
			ours, err := tx.TakeMail(m.Tenant, m.ID, d.node, now, now.Add(hold))
			if err != nil {
				return err
			}
			if ours {
				m.Tries++
				taken = append(taken, m)
			}
		}
		return nil
	})
	if err != nil {
		return nil, outward(err)
	}
	return taken, nil
}

// MailSent removes a mail that this desk took: it was sent, or never will be.
func (d *Desk) MailSent(ctx context.Context, m Mail) error {
	return outward(d.store.Update(ctx, func(tx Tx) error { return tx.DropMail(m.Tenant, m.ID, d.node) }))
}

// PostponeMail gives back a mail that this desk took, to be tried again after a
// pause.
func (d *Desk) PostponeMail(ctx context.Context, m Mail, pause time.Duration) error {
	then := d.now().Add(pause)
	return outward(d.store.Update(ctx, func(tx Tx) error { return tx.PostponeMail(m.Tenant, m.ID, d.node, then) }))
}
