package booking

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Share says with whom a booking is shared, and who of them controls the
// experiment: one person at a time, the owner unless it is said otherwise.
type Share struct {
	Code     []byte         // hash of the code that makes its holder a partner; nil: there is none
	Holder   lodge.PersonID // who controls the experiment; empty: the owner
	Since    time.Time      // when control last changed hands; zero: never
	Partners []Partner      // in the order in which they came
}

// A Partner is somebody that a booking is shared with.
type Partner struct {
	Person lodge.PersonID
	Name   string
	Since  time.Time
	Asked  time.Time // when they asked for control; zero: they do not
}

// Partner returns the partner who is a person.
func (s Share) Partner(person lodge.PersonID) (Partner, bool) {
	i := s.index(person)
	if i < 0 {
		return Partner{}, false
	}
	return s.Partners[i], true
}

func (s Share) index(person lodge.PersonID) int {
	return slices.IndexFunc(s.Partners, func(p Partner) bool { return p.Person == person })
}

// Controller returns who of owner and partners controls the experiment.
func (s Share) Controller(owner lodge.PersonID) lodge.PersonID {
	if s.index(s.Holder) < 0 {
		return owner
	}
	return s.Holder
}

// Partners keep with whom bookings are shared.
type Partners interface {
	// Share returns how a booking is shared; the zero Share when it is not.
	Share(t lodge.Tenant, booking string) (Share, error)
	// PutShare replaces how a booking is shared.
	PutShare(t lodge.Tenant, booking string, s Share) error
	// ShareOf returns the booking that a code's hash belongs to, or ErrUnknown.
	ShareOf(t lodge.Tenant, code []byte) (string, error)
	// SharedWith returns the bookings that are shared with a person and end after
	// a time, cancelled ones too, by start.
	SharedWith(t lodge.Tenant, person lodge.PersonID, after time.Time) ([]string, error)
}

// sharePrefix tells secret scanners what they have found.
const sharePrefix = "lodge_share_"

// What became of a shared booking: the Reason of an EffectControl.
const (
	ShareJoined = "joined" // somebody is a partner now
	ShareLeft   = "left"   // somebody is none any more
	ShareTaken  = "taken"  // control was taken
	ShareGiven  = "given"  // control was given
	ShareAsked  = "asked"  // a partner asks for control
)

// ShareFor returns how a booking is shared. Of people who turned out to be one,
// the one that is left is named.
func (d *Desk) ShareFor(ctx context.Context, t lodge.Tenant, id string) (Share, error) {
	var s Share
	err := d.store.View(ctx, func(tx Tx) (err error) {
		s, err = shareNow(tx, t, id)
		return err
	})
	return s, outward(err)
}

// shareNow is a share whose people are named as they are now.
func shareNow(tx Tx, t lodge.Tenant, id string) (Share, error) {
	s, err := tx.Share(t, id)
	if err != nil {
		return Share{}, err
	}
	stored := s.Partners
	s.Partners = nil
	for _, p := range stored {
		if p.Person, err = tx.Owner(t, p.Person); err != nil {
			return Share{}, err
		}
		if s.index(p.Person) < 0 {
			s.Partners = append(s.Partners, p)
		}
	}
	if s.Holder != "" {
		s.Holder, err = tx.Owner(t, s.Holder)
	}
	return s, err
}

// SharedWith returns the bookings that are shared with a person, under any of
// their ids, and whose messages still reach them, by start.
func (d *Desk) SharedWith(ctx context.Context, t lodge.Tenant, people ...lodge.PersonID) ([]Booking, error) {
	var list []Booking
	err := d.store.View(ctx, func(tx Tx) (err error) {
		list, err = d.sharedWith(tx, t, people)
		return err
	})
	return list, outward(err)
}

func (d *Desk) sharedWith(tx Tx, t lodge.Tenant, people []lodge.PersonID) ([]Booking, error) {
	var list []Booking
	for _, person := range people {
		ids, err := tx.SharedWith(t, person, d.now().Add(-d.opts.MessagePeriod))
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			rec, err := tx.Booking(t, id)
			if err != nil {
				return nil, err
			}
			same := func(b Booking) bool { return b.ID == id }
			if !slices.Contains(people, rec.Owner) && !slices.ContainsFunc(list, same) {
				list = append(list, d.seen(rec.Booking))
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Booking) int { return a.Start.Compare(b.Start) })
	return list, nil
}

// Heard returns the bookings whose messages still reach a person: their own, as
// ListByPerson has them, and behind them those that are shared with any of their
// ids, as SharedWith has them, both at one moment.
func (d *Desk) Heard(ctx context.Context, t lodge.Tenant, owner lodge.PersonID, ids ...lodge.PersonID) ([]Booking, error) {
	var list []Booking
	err := d.store.View(ctx, func(tx Tx) error {
		shared, err := d.sharedWith(tx, t, ids)
		if err != nil {
			return err
		}
		list, err = tx.List(t, Filter{Owner: owner, Within: Interval{Start: d.now().Add(-d.opts.MessagePeriod)}, Limit: listLimit})
		for i := range list {
			list[i] = d.seen(list[i])
		}
		list = append(list, shared...)
		return err
	})
	return list, outward(err)
}

// NewShareCode makes the code that makes whoever presents it a partner in a
// booking; the one before is worth nothing from then on. Only its hash is kept.
func (d *Desk) NewShareCode(ctx context.Context, t lodge.Tenant, id string) (string, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails: crypto/rand ends the program instead
	code := sharePrefix + base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256([]byte(code))
	_, err := d.share(ctx, t, id, func(_ Booking, s *Share) (string, error) {
		s.Code = hash[:]
		return "", nil
	})
	return code, err
}

// EndShareCode makes the code of a booking worth nothing. Who came by it stays.
func (d *Desk) EndShareCode(ctx context.Context, t lodge.Tenant, id string) error {
	_, err := d.share(ctx, t, id, func(_ Booking, s *Share) (string, error) {
		s.Code = nil
		return "", nil
	})
	return err
}

var errNoShare = lodge.E(lodge.CodeNotFound, "This link shares no booking any more; ask whoever sent it for a new one.")

// ShareOf returns the booking that a code shares. Every other code is answered
// alike.
func (d *Desk) ShareOf(ctx context.Context, t lodge.Tenant, code string) (Booking, error) {
	if !strings.HasPrefix(code, sharePrefix) {
		return Booking{}, errNoShare
	}
	hash := sha256.Sum256([]byte(code))
	var b Booking
	err := d.store.View(ctx, func(tx Tx) error {
		id, err := tx.ShareOf(t, hash[:])
		if err != nil {
			return err
		}
		rec, err := tx.Booking(t, id)
		b = d.seen(rec.Booking)
		return err
	})
	if errors.Is(err, ErrUnknown) || err == nil && changeable(b, d.now()) != nil {
		return Booking{}, errNoShare
	}
	return b, outward(err)
}

// JoinShare makes somebody a partner in the booking that a code shares. Whoever is
// one, or owns it, is answered as if they had joined just now.
func (d *Desk) JoinShare(ctx context.Context, t lodge.Tenant, code string, who Member) (Booking, error) {
	b, err := d.ShareOf(ctx, t, code)
	if err != nil {
		return Booking{}, err
	}
	hash := sha256.Sum256([]byte(code))
	_, err = d.share(ctx, t, b.ID, func(b Booking, s *Share) (string, error) {
		if !slices.Equal(s.Code, hash[:]) {
			return "", errNoShare // replaced meanwhile
		}
		return d.join(b, s, who)
	})
	return b, err
}

// AddPartner makes somebody a partner in a booking.
func (d *Desk) AddPartner(ctx context.Context, t lodge.Tenant, id string, who Member) error {
	_, err := d.share(ctx, t, id, func(b Booking, s *Share) (string, error) { return d.join(b, s, who) })
	return err
}

func (d *Desk) join(b Booking, s *Share, who Member) (string, error) {
	if _, there := s.Partner(who.Person); there || who.Person == b.Owner {
		return "", nil
	}
	if len(s.Partners) >= d.opts.MaxPartners {
		return "", refuse("partners", d.opts.MaxPartners, "This booking is shared with as many people as it may be; remove one of them first.").problem(nil)
	}
	s.Partners = append(s.Partners, Partner{Person: who.Person, Name: who.Name, Since: d.now()})
	return ShareJoined, nil
}

// RemovePartner makes somebody no partner any more; removing them again changes
// nothing. Control goes back to the owner when they had it.
func (d *Desk) RemovePartner(ctx context.Context, t lodge.Tenant, id string, person lodge.PersonID) error {
	_, err := d.share(ctx, t, id, func(_ Booking, s *Share) (string, error) {
		i := s.index(person)
		if i < 0 {
			return "", nil
		}
		s.Partners = slices.Delete(s.Partners, i, i+1)
		if s.Holder == person {
			s.Holder, s.Since = "", d.now()
		}
		return ShareLeft, nil
	})
	return err
}

// TakeControl gives control to whoever wants it and may have it without being
// given it: the owner always, a partner when away says that who has it is not
// there. Otherwise it is CodeConflict.
func (d *Desk) TakeControl(ctx context.Context, t lodge.Tenant, id string, who lodge.PersonID, away func(holder lodge.PersonID) bool) (Share, error) {
	return d.share(ctx, t, id, func(b Booking, s *Share) (string, error) {
		holder := s.Controller(b.Owner)
		switch {
		case holder == who:
			return "", nil
		case who != b.Owner && !away(holder):
			return "", lodge.E(lodge.CodeConflict, "Somebody else has control; ask for it, and take it when it is given to you.")
		}
		return ShareTaken, d.hand(b, s, who)
	})
}

// GiveControl hands control from one to another of those who share a booking.
func (d *Desk) GiveControl(ctx context.Context, t lodge.Tenant, id string, from, to lodge.PersonID) (Share, error) {
	return d.share(ctx, t, id, func(b Booking, s *Share) (string, error) {
		switch holder := s.Controller(b.Owner); {
		case holder != from && from != b.Owner:
			return "", lodge.E(lodge.CodeConflict, "You do not have control, so you cannot give it away.")
		case holder == to:
			return "", nil
		}
		return ShareGiven, d.hand(b, s, to)
	})
}

// AskControl notes that a partner, or the owner, would like to have control.
func (d *Desk) AskControl(ctx context.Context, t lodge.Tenant, id string, who lodge.PersonID) (Share, error) {
	return d.share(ctx, t, id, func(b Booking, s *Share) (string, error) {
		i := s.index(who)
		if s.Controller(b.Owner) == who || i < 0 || !s.Partners[i].Asked.IsZero() {
			return "", nil // the owner need not ask
		}
		s.Partners[i].Asked = d.now()
		return ShareAsked, nil
	})
}

// hand gives control to a person of the share.
func (d *Desk) hand(b Booking, s *Share, to lodge.PersonID) error {
	i := s.index(to)
	switch {
	case to == b.Owner:
		s.Holder = ""
	case i < 0:
		return lodge.E(lodge.CodeNotFound, "This booking is not shared with that person; reload the page.")
	default:
		s.Holder, s.Partners[i].Asked = to, time.Time{}
	}
	s.Since = d.now()
	return nil
}

// share changes how a booking that is not over is shared, and carries out what
// follows: change names it, and is empty when nobody needs to learn of it.
func (d *Desk) share(ctx context.Context, t lodge.Tenant, id string, fn func(b Booking, s *Share) (change string, err error)) (Share, error) {
	var s Share
	var b Booking
	err := d.update(ctx, func(tx Tx) error {
		rec, err := tx.Booking(t, id)
		if err != nil {
			return err
		}
		b = rec.Booking
		if r := changeable(b, d.now()); r != nil {
			return r.problem(nil)
		}
		if s, err = shareNow(tx, t, id); err != nil {
			return err
		}
		change, err := fn(b, &s)
		if err != nil {
			return err
		}
		if err := tx.PutShare(t, id, s); err != nil || change == "" {
			return err
		}
		return tx.Enqueue(bookingSubject(b).Name, Effect{
			ID: newID(), Tenant: t, Kind: EffectControl, Booking: b, Experiment: b.Experiment, Reason: change, At: d.now(),
		})
	})
	if err != nil {
		return Share{}, outward(err)
	}
	return s, d.carry(ctx, bookingSubject(b))
}
