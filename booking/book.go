package booking

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
)

// busyLimit bounds how many intervals of a diary one decision reads.
const busyLimit = 2000

// Book makes a booking and returns it with its reference. All rules are checked
// in the transaction that makes it. A refusal is a *lodge.Error whose Details
// hold the rule, its value, and where there is one the conflicting interval and
// the nearest offer that would be accepted. A request with a key that its person
// has used before answers with that booking and its reference.
//
// When what follows from the booking could not be carried out in time, Book
// returns the booking, its reference and a CodeUnavailable error: the booking
// stands, the rest follows.
func (d *Desk) Book(ctx context.Context, req Request) (Booking, string, error) {
	if err := req.valid(); err != nil {
		return Booking{}, "", err
	}
	who, err := d.whomFor(ctx, req.Tenant, req.Person, req.Service)
	if err != nil {
		return Booking{}, "", outward(err)
	}
	made := d.draft(req)
	first, release, err := d.begin(ctx, Subject{req.Tenant, bookingName(made.id)})
	if err != nil {
		return Booking{}, "", outward(err)
	}
	defer release()
	var rec Record
	var reference string
	err = d.update(ctx, func(tx Tx) (err error) {
		rec, reference, err = d.book(tx, req, who, made, first)
		return err
	})
	if err != nil {
		return Booking{}, "", outward(err)
	}
	if rec.ID != made.id { // made before, with the same key
		return d.seen(rec.Booking), reference, d.carry(ctx, bookingSubject(rec.Booking))
	}
	return d.seen(rec.Booking), reference, d.carryOpener(ctx, first)
}

// update is an Update of the store that is tried again when what it decided was
// overtaken by a booking of somebody else, so that the rules name what is in the
// way.
func (d *Desk) update(ctx context.Context, fn func(tx Tx) error) error {
	const tries = 3
	for try := 1; ; try++ {
		err := d.store.Update(ctx, fn)
		if try == tries || !errors.Is(err, ErrOverlap) {
			return err
		}
	}
}

func (req Request) valid() error {
	switch {
	case req.Tenant == "" || req.Person == "":
		return lodge.E(lodge.CodeInvalid, "A booking needs a person.")
	case len(req.Surname) > maxSurname || !utf8.ValidString(req.Surname) || Fold(req.Surname) == "":
		return refuse("surname", nil, "Type a surname, with at least one letter: with it you find the booking again.").problem(nil)
	case (req.Slot == "") == (req.Pool == ""):
		return lodge.E(lodge.CodeInvalid, "Name either a slot or a pool to book.")
	case len(req.Key) > 255:
		return lodge.E(lodge.CodeInvalid, "The idempotency key is longer than 255 characters.")
	case req.End.IsZero() && req.Length <= 0:
		return refuse("interval", nil, "The end must lie after the start.").problem(nil)
	}
	return nil
}

// interval returns what the request asks for, in whole seconds.
func (req Request) interval(now time.Time) Interval {
	i := Interval{req.Start, req.End}
	if i.Start.IsZero() {
		i.Start = now
	}
	i.Start = i.Start.UTC().Truncate(time.Second)
	if i.End.IsZero() {
		i.End = i.Start.Add(req.Length)
	}
	i.End = i.End.UTC().Truncate(time.Second)
	return i
}

// digest identifies what a request with a key asks for.
func (req Request) digest() []byte {
	h := sha256.New()
	h.Write(fmt.Appendf(nil, "%q %q %q %d %d %d", req.Surname, req.Group, req.Slot, req.Start.Unix(), req.End.Unix(), req.Length))
	if req.Pool != "" {
		h.Write(fmt.Appendf(nil, " %q", req.Pool))
	}
	return h.Sum(nil)
}

func (d *Desk) book(tx Tx, req Request, who whom, made draft, first *opener) (Record, string, error) {
	now := d.now()
	if err := d.foresee(tx, req, made, now); err != nil {
		return Record{}, "", err
	}
	if earlier, err := d.earlier(tx, req, made); err != nil {
		return Record{}, "", err
	} else if earlier != nil {
		return d.again(*earlier, req)
	}
	snap, err := d.snapshot(tx, req.Tenant)
	if err != nil {
		return Record{}, "", err
	}
	snap = snap.as(who)
	madeFor := req.Person
	if req.Person, err = tx.Owner(req.Tenant, madeFor); err != nil {
		return Record{}, "", err
	}
	want := req.interval(now)
	name, err := d.permitted(tx, snap, req, want, now)
	if err != nil {
		return Record{}, "", err
	}
	return d.enter(tx, snap, req, madeFor, Opening{want, name}, now, made, first)
}

// foresee has read in one step what a booking of a slot will be decided by, as far
// as the catalogue that is known tells.
func (d *Desk) foresee(tx Tx, req Request, made draft, now time.Time) error {
	d.mu.Lock()
	snap := d.cached[req.Tenant]
	d.mu.Unlock()
	return ahead(tx, func(tx Tx) {
		_, _ = d.earlier(tx, req, made)
		_, _ = tx.Revision(req.Tenant)
		_, _ = tx.Owner(req.Tenant, req.Person)
		_, _ = tx.WaitsOf(req.Tenant, req.Person)
		if snap == nil || req.Slot == "" {
			return
		}
		slot, want := snap.cat.Slots[req.Slot], req.interval(now)
		_, _, _ = tx.Tally(req.Tenant, req.Person, slot.Policy, now)
		_, _ = tx.Busy(req.Tenant, slot.Experiment, "", want, busyLimit)
		_, _ = d.inService(tx, req.Tenant, slot.Experiment, want, now)
	})
}

// earlier returns the booking that a request with the same key made; nil when
// there is none, or no key.
func (d *Desk) earlier(tx Tx, req Request, made draft) (*Record, error) {
	for _, key := range made.keys {
		rec, err := tx.ByKey(req.Tenant, req.Person, key)
		if err == nil {
			return &rec, nil
		}
		if !errors.Is(err, ErrUnknown) {
			return nil, err
		}
	}
	return nil, nil
}

// enter makes the booking of what the rules accept.
func (d *Desk) enter(tx Tx, snap *snapshot, req Request, madeFor lodge.PersonID, o Opening, now time.Time, made draft, first *opener) (Record, string, error) {
	slot := snap.cat.Slots[o.Slot]
	policy := snap.cat.Policies[slot.Policy]
	rec := Record{
		Booking: Booking{
			ID: made.id, Tenant: req.Tenant, Owner: req.Person, OwnerName: req.Name, Surname: made.surname,
			Experiment: slot.Experiment, Slot: o.Slot, Policy: slot.Policy, Group: req.Group, UISet: slot.UISet, Pool: req.Pool,
			Start: o.Start, End: o.End, Exclusive: !policy.UnlimitedUsers,
			CreatedAt: now, Charged: o.Length(), ComeBy: comeBy(o.Interval, policy, now), Version: 1,
		},
		MadeFor: madeFor,
	}
	if len(made.keys) > 0 {
		rec.Key, rec.Digest = made.keys[0], req.digest()
	}
	if err := d.served(tx, snap, rec.Booking); err != nil {
		return Record{}, "", err
	}
	reference, err := d.register(tx, &rec, made.code)
	if err != nil {
		return Record{}, "", err
	}
	e := Effect{ID: made.effect, Tenant: req.Tenant, Kind: EffectBooked, Booking: rec.Booking, Experiment: rec.Experiment, At: now}
	if err := d.followIn(tx, snap, e); err != nil {
		return Record{}, "", err
	}
	return rec, reference, d.hold(tx, first, e)
}

// again answers a request whose key was used before.
func (d *Desk) again(rec Record, req Request) (Record, string, error) {
	if !slices.Equal(rec.Digest, req.digest()) {
		return Record{}, "", lodge.E(lodge.CodeRefused, "This idempotency key was used for another booking; use a new key for each booking.")
	}
	if rec.Sealed == nil {
		return rec, "", nil
	}
	reference, err := d.vault.unseal(rec)
	return rec, reference, err
}

// facts gathers what the rules need; except is a booking to leave out.
func (d *Desk) facts(tx Tx, snap *snapshot, t lodge.Tenant, person lodge.PersonID, slot Slot, except string, now time.Time) (*facts, error) {
	f := &facts{now: now, policy: snap.cat.Policies[slot.Policy], always: slot.Window == "", open: snap.open[slot.Window]}
	f.busy = func(within Interval) ([]Interval, error) {
		return tx.Busy(t, slot.Experiment, except, within, busyLimit)
	}
	var err error
	f.live, f.charged, err = tx.Tally(t, person, slot.Policy, now)
	return f, err
}
