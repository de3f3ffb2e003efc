package booking

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// Bounds of waiting lists.
const (
	maxWaits    = 20                  // of one person
	maxWaitTime = 31 * 24 * time.Hour // from now to the end of a wait
	waitsLimit  = 500                 // of one list that are looked at in one step
	listsLimit  = 64                  // lists that one round looks at
	listPoll    = time.Minute         // how often a list is looked at when nothing happens
)

// A WaitRequest asks for a place on a waiting list.
type WaitRequest struct {
	Tenant lodge.Tenant
	Person lodge.PersonID
	Groups []string // the person's groups, now
	Group  string   // the group to book through
	Slot   string
	Pool   string        // instead of a slot: any experiment of this pool
	From   time.Time     // zero: now
	Until  time.Time     // until when it is wanted; zero: as long as a wait lasts at most
	Length time.Duration // of the booking that is wanted
}

// Join puts somebody on the waiting list of a slot or a pool. Joining again keeps
// the place and changes what is wanted. Who waits longest is told first, when
// something that every rule accepts becomes free or is free already; until their
// turn is over nobody else is told. A wait ends with a booking of what was waited
// for, with a turn that was let pass, or with its interval.
func (d *Desk) Join(ctx context.Context, req WaitRequest) (Wait, error) {
	now := d.now()
	w, err := req.wait(now)
	if err != nil {
		return Wait{}, err
	}
	err = d.store.Update(ctx, func(tx Tx) error {
		snap, err := d.snapshot(tx, req.Tenant)
		if err != nil {
			return err
		}
		if err := mayUse(snap.cat, Request{Group: req.Group, Groups: req.Groups, Slot: req.Slot, Pool: req.Pool}); err != nil {
			return err
		}
		if w.Person, err = tx.Owner(req.Tenant, req.Person); err != nil {
			return err
		}
		mine, err := tx.WaitsOf(req.Tenant, w.Person)
		if err != nil {
			return err
		}
		w.ID, w.Since = newID(), now
		if i := slices.IndexFunc(mine, w.sameList); i >= 0 {
			w.ID, w.Since = mine[i].ID, mine[i].Since
		} else if len(mine) >= maxWaits {
			return refuse("max_waits", maxWaits, "You are on as many waiting lists as you may be; leave one first.").problem(nil)
		}
		w.DueAt = now // something may be free already
		if err := tx.PutWait(w); err != nil {
			return err
		}
		w.Place, err = d.place(tx, w)
		return err
	})
	if err != nil {
		return Wait{}, outward(err)
	}
	select {
	case d.wake <- struct{}{}:
	default: // Run knows already
	}
	return w, nil
}

func (req WaitRequest) wait(now time.Time) (Wait, error) {
	w := Wait{
		Tenant: req.Tenant, Group: req.Group, Slot: req.Slot, Pool: req.Pool, Length: req.Length,
		Within: Interval{req.From.UTC().Truncate(time.Second), req.Until.UTC().Truncate(time.Second)},
	}
	if w.Within.Start.Before(now) {
		w.Within.Start = now.Truncate(time.Second)
	}
	if req.Until.IsZero() {
		w.Within.End = now.Add(maxWaitTime).Truncate(time.Second)
	}
	switch {
	case req.Tenant == "" || req.Person == "" || (req.Slot == "") == (req.Pool == ""):
		return Wait{}, lodge.E(lodge.CodeInvalid, "Name a person, a group, and either a slot or a pool to wait for.")
	case req.Length <= 0 || req.Length%time.Second != 0:
		return Wait{}, refuse("interval", nil, "Say how long you want the experiment for: whole seconds, one at least.").problem(nil)
	case w.Within.End.Sub(now) > maxWaitTime:
		return Wait{}, refuse("max_wait", maxWaitTime, "A wait lasts 31 days at most; choose an earlier end.").problem(nil)
	case w.Within.Length() < req.Length:
		return Wait{}, refuse("interval", nil, "What you wait for does not fit between the two times; choose a later end.").problem(nil)
	}
	return w, nil
}

func (w Wait) sameList(o Wait) bool {
	return w.Group == o.Group && w.Slot == o.Slot && w.Pool == o.Pool
}

// place counts who waits on the same list and longer.
func (d *Desk) place(tx Tx, w Wait) (int, error) {
	all, err := tx.WaitsFor(w.Tenant, w.Target(), waitsLimit)
	if err != nil {
		return 0, err
	}
	now, place := d.now(), 1
	for _, o := range all {
		if o.ID == w.ID {
			break
		}
		if now.Before(o.Within.End) {
			place++
		}
	}
	return place, nil
}

// Leave takes a person's wait off its list. Leaving again changes nothing;
// another's is CodeNotFound.
func (d *Desk) Leave(ctx context.Context, t lodge.Tenant, person lodge.PersonID, id string) error {
	return outward(d.store.Update(ctx, func(tx Tx) error {
		w, err := tx.Wait(t, id)
		if errors.Is(err, ErrUnknown) {
			return nil
		}
		if err != nil {
			return err
		}
		if owner, err := tx.Owner(t, w.Person); err != nil {
			return err
		} else if owner != person && w.Person != person {
			return lodge.E(lodge.CodeNotFound, "There is no such wait, or it is not yours.")
		}
		if err := tx.DropWait(t, id); err != nil {
			return err
		}
		return tx.StirWaits(t, []string{w.Target()}, d.now()) // it may be the next one's turn
	}))
}

// Waiting returns a person's waits that have not ended, the oldest first, each
// with its place.
func (d *Desk) Waiting(ctx context.Context, t lodge.Tenant, person lodge.PersonID) ([]Wait, error) {
	var out []Wait
	err := d.store.View(ctx, func(tx Tx) error {
		out = nil
		waits, err := tx.WaitsOf(t, person)
		if err != nil {
			return err
		}
		now := d.now()
		for _, w := range waits {
			if !now.Before(w.Within.End) {
				continue
			}
			if w.Place, err = d.place(tx, w); err != nil {
				return err
			}
			out = append(out, w)
		}
		return nil
	})
	return out, outward(err)
}

// serveWaits looks at the lists that are due and tells whose turn it is.
func (d *Desk) serveWaits(ctx context.Context) {
	var due []Subject
	err := d.store.View(ctx, func(tx Tx) (err error) {
		due, err = tx.DueWaits(d.now(), listsLimit)
		return err
	})
	for _, list := range due {
		if ctx.Err() != nil {
			return
		}
		err = errors.Join(err, d.serveList(ctx, list))
	}
	if err != nil && ctx.Err() == nil {
		d.log.Warn("booking: waiting lists will be looked at again", "err", err)
	}
}

// serveList goes through one list from its oldest wait. Every node may do so: the
// transaction that tells somebody is the one that notes it.
func (d *Desk) serveList(ctx context.Context, list Subject) error {
	who, err := d.whomWaits(ctx, list)
	if err != nil {
		return err
	}
	var told []Wait
	err = d.store.Update(ctx, func(tx Tx) error {
		told = nil
		snap, err := d.snapshot(tx, list.Tenant)
		if err != nil {
			return err
		}
		waits, err := tx.WaitsFor(list.Tenant, list.Name, waitsLimit)
		if err != nil {
			return err
		}
		s := serving{desk: d, tx: tx, snap: snap, who: who, now: d.now()}
		if waits, err = s.tidy(waits); err != nil {
			return err
		}
		for i, w := range waits {
			one, err := s.serve(w, i == 0 || waits[i-1].Told(s.now))
			if err != nil {
				return err
			}
			if one != nil {
				told = append(told, *one)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, w := range told {
		// What follows is in the outbox; that it was late has been logged.
		_ = d.carry(ctx, waitSubject(w))
	}
	return nil
}

// whomWaits asks whose overrides count for those on a list. Somebody who joins
// afterwards is served as everybody is, or the next time.
func (d *Desk) whomWaits(ctx context.Context, list Subject) (map[lodge.PersonID]whom, error) {
	var waits []Wait
	err := d.store.View(ctx, func(tx Tx) (err error) {
		waits, err = tx.WaitsFor(list.Tenant, list.Name, waitsLimit)
		return err
	})
	who := map[lodge.PersonID]whom{}
	for _, w := range waits {
		if err == nil {
			who[w.Person], err = d.whomFor(ctx, list.Tenant, w.Person, "")
		}
	}
	return who, err
}

// serving is one look at one list.
type serving struct {
	desk     *Desk
	tx       Tx
	snap     *snapshot
	who      map[lodge.PersonID]whom
	now      time.Time
	promised []Opening // what others were told that they can book, and their turn lasts
}

// tidy removes the waits that are over, puts those back whose offer somebody else
// took, and notes what is promised.
func (s *serving) tidy(waits []Wait) ([]Wait, error) {
	var kept []Wait
	for _, w := range waits {
		over := !s.now.Before(w.Within.End)
		if !over && !w.ToldAt.IsZero() {
			still, err := s.accepted(w, w.Offer)
			if err != nil {
				return nil, err
			}
			switch {
			case !still: // somebody else was faster: the place stays
				w.Offer, w.ToldAt, w.TurnUntil = Opening{}, time.Time{}, time.Time{}
			case w.Told(s.now):
				s.promised = append(s.promised, w.Offer)
			default: // they let it pass
				over = true
			}
		}
		if over {
			if err := s.tx.DropWait(w.Tenant, w.ID); err != nil {
				return nil, err
			}
			continue
		}
		kept = append(kept, w)
	}
	return kept, nil
}

// accepted reports whether the rules still accept an offer to somebody.
func (s *serving) accepted(w Wait, o Opening) (bool, error) {
	if o.Start.Before(s.now) { // it was to begin at once: what is left of it counts
		o.Start = s.now.Truncate(time.Second)
		o.End = o.Start.Add(w.Length)
	}
	t, err := s.desk.try(s.tx, s.snap.as(s.who[w.Person]), s.request(w), o.Slot, o.Interval, s.now)
	return err == nil && t.refusal == nil, err
}

func (s *serving) request(w Wait) Request {
	return Request{Tenant: w.Tenant, Person: w.Person, Group: w.Group, Slot: w.Slot, Pool: w.Pool}
}

// serve tells somebody who waits what they can book, if there is something; the
// wait comes back when they were told.
// The first of those who wait on has the list looked at again soon: time alone
// makes bookable what is too far ahead now.
func (s *serving) serve(w Wait, first bool) (*Wait, error) {
	w.DueAt = w.Within.End
	if soon := s.now.Add(listPoll); first && soon.Before(w.DueAt) {
		w.DueAt = soon
	}
	if !w.ToldAt.IsZero() {
		w.DueAt = w.TurnUntil
		return nil, s.tx.PutWait(w)
	}
	offer, err := s.find(w)
	if err != nil {
		return nil, err
	}
	if offer == nil {
		return nil, s.tx.PutWait(w)
	}
	w.Offer, w.ToldAt, w.TurnUntil = *offer, s.now, s.now.Add(s.desk.opts.WaitTurn)
	if w.Within.End.Before(w.TurnUntil) {
		w.TurnUntil = w.Within.End
	}
	w.DueAt = w.TurnUntil
	s.promised = append(s.promised, *offer)
	if err := s.tx.PutWait(w); err != nil {
		return nil, err
	}
	e := Effect{ID: newID(), Tenant: w.Tenant, Kind: EffectFreed, Wait: w, Experiment: s.snap.cat.Slots[offer.Slot].Experiment, At: s.now}
	if err := s.desk.MailOffer(s.tx, Offer{ID: e.ID, Tenant: w.Tenant, Person: w.Person, Pool: w.Pool, Slot: offer.Slot, Free: offer.Interval, Until: w.TurnUntil}); err != nil {
		return nil, err
	}
	return &w, s.tx.Enqueue(waitSubject(w).Name, e)
}

// find returns the earliest that somebody who waits can book of what nobody else
// was promised.
func (s *serving) find(w Wait) (*Opening, error) {
	names := []string{w.Slot}
	if w.Pool != "" {
		names = s.snap.cat.SlotsOfPool(w.Group, w.Pool)
	} else if !slices.Contains(s.snap.cat.SlotsOf(w.Group), w.Slot) {
		return nil, nil // it is not offered to the group any more; it may be again
	}
	want := Interval{ceil(w.Within.Start, s.now), ceil(w.Within.Start, s.now).Add(w.Length)}
	var best *Opening
	for _, name := range names {
		experiment := s.snap.cat.Slots[name].Experiment
		state, err := stateOf(s.tx, w.Tenant, experiment)
		if err != nil {
			return nil, err
		}
		if !state.Online {
			continue
		}
		f, err := s.facts(w, name)
		if err != nil {
			return nil, err
		}
		r, err := f.check(want)
		if err != nil {
			return nil, err
		}
		offer := offerOf(&want, name)
		if r != nil {
			better, err := f.offer(r)
			if err != nil {
				return nil, err
			}
			offer = offerOf(better, name)
		}
		if offer != nil && offer.Length() == w.Length && w.Within.Contains(offer.Interval) && (best == nil || offer.Start.Before(best.Start)) {
			best = offer
		}
	}
	return best, nil
}

// facts are those of the rules, with what is promised to others taken.
func (s *serving) facts(w Wait, name string) (*facts, error) {
	slot := s.snap.cat.Slots[name]
	f, err := s.desk.facts(s.tx, s.snap.as(s.who[w.Person]), w.Tenant, w.Person, slot, "", s.now)
	if err != nil {
		return nil, err
	}
	if f.policy.UnlimitedUsers {
		return f, nil
	}
	busy := f.busy
	f.busy = func(within Interval) ([]Interval, error) {
		list, err := busy(within)
		if err != nil {
			return nil, err
		}
		n := len(list)
		for _, o := range s.promised {
			if s.snap.cat.Slots[o.Slot].Experiment == slot.Experiment && o.Overlaps(within) {
				list = append(list, o.Interval)
			}
		}
		if len(list) > n && n < busyLimit {
			slices.SortFunc(list, func(a, b Interval) int { return a.Start.Compare(b.Start) })
		}
		return list, nil
	}
	return f, nil
}
