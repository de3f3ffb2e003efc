package booking

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	var rec Record
	var reference string
	err := d.store.Update(ctx, func(tx Tx) (err error) {
		rec, reference, err = d.book(tx, req)
		return err
	})
	if err != nil {
		return Booking{}, "", outward(err)
	}
	return d.seen(rec.Booking), reference, d.carry(ctx, bookingSubject(rec.Booking))
}

func (req Request) valid() error {
	switch {
	case req.Tenant == "" || req.Person == "":
		return lodge.E(lodge.CodeInvalid, "A booking needs a person.")
	case len(req.Surname) > maxSurname || !utf8.ValidString(req.Surname) || Fold(req.Surname) == "":
		return refuse("surname", nil, "Type a surname, with at least one letter: with it you find the booking again.").problem(nil)
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
	return h.Sum(nil)
}

func (d *Desk) book(tx Tx, req Request) (Record, string, error) {
	var key []byte
	if req.Key != "" {
		key = d.vault.mac("idempotency", string(req.Tenant), string(req.Person), req.Key)
		switch rec, err := tx.ByKey(req.Tenant, req.Person, key); {
		case err == nil:
			return d.again(rec, req)
		case !errors.Is(err, ErrUnknown):
			return Record{}, "", err
		}
	}
	snap, err := d.snapshot(tx, req.Tenant)
	if err != nil {
		return Record{}, "", err
	}
	madeFor := req.Person
	if req.Person, err = tx.Owner(req.Tenant, madeFor); err != nil {
		return Record{}, "", err
	}
	now := d.now()
	want := req.interval(now)
	slot, err := d.permitted(tx, snap, req, want, now)
	if err != nil {
		return Record{}, "", err
	}
	rec := Record{
		Booking: Booking{
			ID: newID(), Tenant: req.Tenant, Owner: req.Person, OwnerName: req.Name, Surname: strings.TrimSpace(req.Surname),
			Experiment: slot.Experiment, Slot: req.Slot, Policy: slot.Policy, Group: req.Group, UISet: slot.UISet,
			Start: want.Start, End: want.End, Exclusive: !snap.cat.Policies[slot.Policy].UnlimitedUsers,
			CreatedAt: now, Charged: want.Length(), Version: 1,
		},
		MadeFor: madeFor, Key: key,
	}
	if key != nil {
		rec.Digest = req.digest()
	}
	reference, err := d.register(tx, &rec)
	if err != nil {
		return Record{}, "", err
	}
	return rec, reference, d.follow(tx, Effect{
		ID: newID(), Tenant: req.Tenant, Kind: EffectBooked, Booking: rec.Booking, Experiment: rec.Experiment, At: now,
	})
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

// permitted applies group membership and then the policy's rules.
func (d *Desk) permitted(tx Tx, snap *snapshot, req Request, want Interval, now time.Time) (Slot, error) {
	slot, ok := snap.cat.Slots[req.Slot]
	if _, known := snap.cat.Groups[req.Group]; !ok || !known {
		return Slot{}, lodge.E(lodge.CodeNotFound, "There is no such group or slot; reload the page.")
	}
	if !slices.Contains(req.Groups, req.Group) || !slices.Contains(snap.cat.Groups[req.Group].Policies, slot.Policy) {
		e := lodge.E(lodge.CodeForbidden, "This slot is not open to your group; choose another, or ask your instructor.")
		e.Details = map[string]any{"rule": "group", "value": req.Group}
		return Slot{}, e
	}
	f, err := d.facts(tx, snap, req.Tenant, req.Person, slot, "", now)
	if err != nil {
		return Slot{}, err
	}
	f.atOnce = req.Start.IsZero()
	r, err := f.check(want)
	if err != nil {
		return Slot{}, err
	}
	if r != nil {
		f.atOnce = false // an offer must hold when it is asked for by its start
		offer, err := f.offer(r)
		if err != nil {
			return Slot{}, err
		}
		return Slot{}, r.problem(offer)
	}
	return slot, d.inService(tx, req.Tenant, slot.Experiment, want, now)
}

// inService refuses a booking from now of an experiment that is off-line. Later
// ones are accepted: it may be back by then.
func (d *Desk) inService(tx Tx, t lodge.Tenant, experiment string, want Interval, now time.Time) error {
	if want.Start.After(now) {
		return nil
	}
	state, err := stateOf(tx, t, experiment)
	if err != nil || state.Online {
		return err
	}
	r := refuse("online", nil, "The experiment is off-line at the moment; book it for later, or choose another.")
	r.code = lodge.CodeConflict
	return r.problem(nil)
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

// register stores a booking under a reference that nobody else has.
func (d *Desk) register(tx Tx, rec *Record) (string, error) {
	var reference string
	for range 16 {
		reference = newReference()
		var macs [][]byte
		for _, fold := range Folds(rec.Surname) {
			macs = append(macs, d.vault.foldMAC(rec.Tenant, fold, reference))
		}
		err := tx.AddReference(rec.Tenant, rec.ID, d.vault.id, d.vault.referenceMAC(rec.Tenant, reference), macs)
		if errors.Is(err, ErrExists) {
			continue
		}
		if err != nil {
			return "", err
		}
		rec.Sealed, rec.SealedKey = d.vault.seal(rec.Booking, reference), d.vault.id
		return reference, tx.Insert(*rec)
	}
	return "", errors.New("booking: no free reference was found in sixteen draws")
}
