package booking

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// LinkLife is how long a mailed link opens its booking.
const LinkLife = 30 * time.Minute

// linkPrefix tells secret scanners what they have found.
const linkPrefix = "lodge_link_"

// Links keep the hashes of mailed links.
type Links interface {
	// AddLink stores the hash of a link that opens a booking until then.
	AddLink(t lodge.Tenant, hash []byte, booking string, until time.Time) error
	// TakeLink removes a link and returns its booking; ErrUnknown when there is
	// none, or its time has passed.
	TakeLink(t lodge.Tenant, hash []byte, now time.Time) (string, error)
	// ForgetLinks removes those whose time has passed.
	ForgetLinks(now time.Time) error
}

// RequestLink has a link mailed to the owner of the booking that goes with a
// surname and a reference: for who may not look it up because others guess too
// much. Whether there is such a booking is neither told nor shown by the time it
// takes: a mail is queued either way, and one that is for nobody is dropped where
// nobody sees it. Nothing is learned from a guess, so surnames have no limit here;
// addresses and the whole have, and so has one booking. An impossible reference is
// CodeRefused, too many requests are CodeTooMany.
func (d *Desk) RequestLink(ctx context.Context, t lodge.Tenant, surname, reference, address string) error {
	if !d.opts.Mail {
		return lodge.E(lodge.CodeRefused, "This laboratory sends no mail; sign in, or wait and try again with surname and reference.")
	}
	fold, ref, err := typed(surname, reference)
	if err != nil {
		return err
	}
	l := lookup{
		desk: d, tenant: t, folds: d.vault.foldMACs(t, fold, ref), now: d.now(),
		tries: []try{
			{d.vault.mac("link-address", string(t), network(address)), d.opts.Lookup.Links},
			{d.vault.mac("link-overall", string(t)), d.opts.Lookup.Overall},
		},
	}
	return outward(d.store.Update(ctx, l.request))
}

// request is the transaction: it reads and writes the same rows for a hit and a
// miss.
func (l lookup) request(tx Tx) error {
	if err := l.spend(tx); err != nil {
		return err
	}
	b, found, err := l.find(tx)
	if err != nil {
		return err
	}
	// One booking gets few links; for a miss another row is counted, as often.
	key := l.desk.vault.mac("link-booking", string(l.tenant), string(l.folds[0]))
	at, err := tx.Rate(l.tenant, key)
	if err != nil {
		return err
	}
	next, wait := linksOfOne.spend(at, l.now)
	if wait > 0 {
		found, next = false, at
	}
	if err := tx.SetRate(l.tenant, key, next); err != nil {
		return err
	}
	m := Mail{ID: newID(), Tenant: l.tenant, Kind: MailLink, At: l.now, Until: l.now.Add(LinkLife)}
	if found {
		m.Booking = b.ID
	}
	return tx.PutMail(m)
}

// linksOfOne bounds the links that one booking's owner is sent.
var linksOfOne = Rate{3, 20 * time.Minute}

// NewLink makes the secret of a link for a booking. Only its hash is kept; each
// attempt to send a mail makes one of its own, since the one before may have
// arrived.
func (d *Desk) NewLink(ctx context.Context, t lodge.Tenant, booking string, until time.Time) (string, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	link := linkPrefix + base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256([]byte(link))
	return link, outward(d.store.Update(ctx, func(tx Tx) error { return tx.AddLink(t, hash[:], booking, until) }))
}

// OpenLink returns the booking that a link opens, once. Every other one is
// answered alike.
func (d *Desk) OpenLink(ctx context.Context, t lodge.Tenant, link string) (Booking, error) {
	gone := lodge.E(lodge.CodeNotFound, "This link has been used, or its half hour is over; ask for another one, or type surname and reference.")
	if !strings.HasPrefix(link, linkPrefix) {
		return Booking{}, gone
	}
	hash := sha256.Sum256([]byte(link))
	var b Booking
	err := d.store.Update(ctx, func(tx Tx) error {
		id, err := tx.TakeLink(t, hash[:], d.now())
		if err != nil {
			return err
		}
		rec, err := tx.Booking(t, id)
		b = rec.Booking
		return err
	})
	if errors.Is(err, ErrUnknown) || err == nil && !d.now().Before(d.MessagesUntil(b)) {
		return Booking{}, gone
	}
	return d.seen(b), outward(err)
}
