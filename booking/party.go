package booking

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lodge-gateway/lodge"
)

// maxParty bounds for how many people one request books.
const maxParty = 300

// A PartyRequest books for several people at once: through a slot one after
// another, through a pool as many side by side as there is room for and the
// others after them.
type PartyRequest struct {
	Tenant  lodge.Tenant
	Group   string // all of them are members of it
	Slot    string
	Pool    string // instead of a slot
	Members []Member
	From    time.Time // when the first may begin; zero: now
	Until   time.Time // when the last must have ended
	Length  time.Duration
	// Partial books for those who can be when others cannot; without it nobody is
	// booked for then.
	Partial bool
	Key     string // idempotency key; empty: none
}

// A Member is one of those who are booked for.
type Member struct {
	Person  lodge.PersonID
	Name    string
	Surname string
}

// A Place is what became of one member: a booking, or why there is none.
type Place struct {
	Member
	Booking Booking
	Refused *lodge.Error // nil: booked
}

// errParty undoes a party that not everybody can be booked for.
var errParty = errors.New("booking: not everybody can be booked for")

// BookParty books for several people in one transaction, in the order of the
// request, each as early as their policy and the diaries allow. It returns what
// became of everybody. Unless the request is a partial one, somebody who cannot
// be booked for is CodeConflict, and nobody is. A party with a key that was used
// before answers with the bookings of then. For the answer when effects are late,
// see Book.
func (d *Desk) BookParty(ctx context.Context, req PartyRequest) ([]Place, error) {
	if err := req.valid(d.now()); err != nil {
		return nil, err
	}
	who := map[lodge.PersonID]whom{}
	for _, m := range req.Members {
		var err error
		if who[m.Person], err = d.whomFor(ctx, req.Tenant, m.Person, ""); err != nil {
			return nil, outward(err)
		}
	}
	var places []Place
	err := d.update(ctx, func(tx Tx) error {
		p := party{desk: d, tx: tx, req: req, who: who, now: d.now(), next: map[string]time.Time{}}
		p.from, p.until = req.span(p.now)
		var err error
		places, err = p.book()
		return err
	})
	if errors.Is(err, errParty) {
		e := lodge.E(lodge.CodeConflict, "Not everybody can be booked for, so nobody was; choose more time, other people, or book for those who can be.")
		e.Details = map[string]any{"rule": "party"}
		return places, e
	}
	if err != nil {
		return nil, outward(err)
	}
	for i := range places {
		places[i].Booking = d.seen(places[i].Booking)
	}
	return places, d.carryParty(ctx, places)
}

// span returns within what the request books, in whole seconds.
func (req PartyRequest) span(now time.Time) (from, until time.Time) {
	return ceil(req.From, now).UTC(), req.Until.UTC().Truncate(time.Second)
}

func (req PartyRequest) valid(now time.Time) error {
	from, until := req.span(now)
	switch {
	case req.Tenant == "" || (req.Slot == "") == (req.Pool == ""):
		return lodge.E(lodge.CodeInvalid, "Name either a slot or a pool to book.")
	case len(req.Key) > 255:
		return lodge.E(lodge.CodeInvalid, "The idempotency key is longer than 255 characters.")
	case len(req.Members) == 0 || len(req.Members) > maxParty:
		return refuse("party", maxParty, "Choose whom to book for: one person at least, 300 at most.").problem(nil)
	case req.Length <= 0 || req.Length%time.Second != 0:
		return refuse("interval", nil, "Say how long each may use the experiment: whole seconds, one at least.").problem(nil)
	case until.After(from.Add(maxAhead)):
		return refuse("interval", nil, "A group is booked for within 92 days; choose an earlier end.").problem(nil)
	case until.Sub(from) < req.Length:
		return refuse("interval", nil, "Nobody fits between the two times; choose a later end.").problem(nil)
	}
	return nil
}

// party is one attempt at a party.
type party struct {
	desk *Desk
	tx   Tx
	req  PartyRequest
	who  map[lodge.PersonID]whom
	now  time.Time
	from time.Time
	// until is when the last must have ended.
	until time.Time
	snap  *snapshot
	next  map[string]time.Time // by slot: before then there is no room
}

func (p *party) book() ([]Place, error) {
	var err error
	if p.snap, err = p.desk.snapshot(p.tx, p.req.Tenant); err != nil {
		return nil, err
	}
	all := Request{Tenant: p.req.Tenant, Group: p.req.Group, Groups: []string{p.req.Group}, Slot: p.req.Slot, Pool: p.req.Pool}
	if err := mayUse(p.snap.cat, all); err != nil {
		return nil, err
	}
	names := []string{p.req.Slot}
	if p.req.Pool != "" {
		if names, err = p.desk.slotsOfPool(p.tx, p.snap, all); err != nil {
			return nil, err
		}
	}
	var places []Place
	refused := false
	for _, m := range p.req.Members {
		b, err := p.one(m, names)
		place := Place{Member: m, Booking: b}
		if e, ok := errors.AsType[*lodge.Error](err); ok && e.Code != lodge.CodeUnavailable && e.Code != lodge.CodeInternal {
			place.Refused, err, refused = e, nil, true
		}
		if err != nil {
			return nil, err
		}
		places = append(places, place)
	}
	if refused && !p.req.Partial {
		for i := range places {
			places[i].Booking = Booking{}
		}
		return places, errParty
	}
	return places, nil
}

// one books for one member, or returns why not.
func (p *party) one(m Member, names []string) (Booking, error) {
	req := Request{
		Tenant: p.req.Tenant, Person: m.Person, Name: m.Name, Surname: m.Surname, Groups: []string{p.req.Group}, Group: p.req.Group,
		Slot: p.req.Slot, Pool: p.req.Pool, Start: p.req.From, End: p.req.Until, Length: p.req.Length, Key: p.req.Key,
	}
	if err := req.valid(); err != nil {
		return Booking{}, err
	}
	made := p.desk.draft(req)
	if earlier, err := p.desk.earlier(p.tx, req, made); err != nil {
		return Booking{}, err
	} else if earlier != nil {
		rec, _, err := p.desk.again(*earlier, req)
		return rec.Booking, err
	}
	owner, err := p.tx.Owner(req.Tenant, m.Person)
	if err != nil {
		return Booking{}, err
	}
	req.Person = owner
	snap := p.snap.as(p.who[m.Person])
	best, err := p.earliest(snap, req, names)
	if err != nil {
		return Booking{}, err
	}
	rec, _, err := p.desk.enter(p.tx, snap, req, m.Person, *best, p.now, made, nil)
	if err == nil && rec.Exclusive {
		p.next[best.Slot] = best.End
	}
	return rec.Booking, err
}

// earliest returns the first room for a member in any of some slots, or the
// refusal of the first.
func (p *party) earliest(snap *snapshot, req Request, names []string) (*Opening, error) {
	var best *Opening
	var why *refusal
	// Where there may be room soonest is asked first: what it accepts is not beaten.
	names = slices.Clone(names)
	slices.SortStableFunc(names, func(a, b string) int { return p.next[a].Compare(p.next[b]) })
	for _, name := range names {
		from := later(p.from, p.next[name])
		if best != nil && !from.Before(best.Start) {
			break
		}
		want := Interval{from, from.Add(req.Length)}
		t, err := p.desk.try(p.tx, snap, req, name, want, p.now)
		if err != nil {
			return nil, err
		}
		if t.refusal != nil && why == nil {
			why = t.refusal
		}
		// Only what is as long as the others have, and in time, is room.
		if o := t.offer; o != nil && o.Length() == req.Length && !o.Start.Before(p.from) && !o.End.After(p.until) && (best == nil || o.Start.Before(best.Start)) {
			best = o
		} else if o != nil && why == nil {
			why = refuse("party", nil, "There is no room left before the end; choose a later one.")
		}
	}
	if best == nil {
		return nil, why.problem(nil)
	}
	return best, nil
}

// carryParty carries out what follows from a party, some bookings at a time, and
// returns the first error.
func (d *Desk) carryParty(ctx context.Context, places []Place) error {
	lanes := make(chan struct{}, dueLanes)
	errs := make([]error, len(places))
	var wg sync.WaitGroup
	for i, place := range places {
		if place.Refused != nil {
			continue
		}
		lanes <- struct{}{}
		wg.Go(func() {
			defer func() { <-lanes }()
			errs[i] = d.carry(ctx, bookingSubject(place.Booking))
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
