package booking

import (
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// maxCandidates bounds how many slots one wish is tried on.
const maxCandidates = 64

// permitted applies group membership and then the policy's rules, and returns the
// slot to book: the one asked for, or the first of the pool, in the pool's order,
// that is on-line and free.
func (d *Desk) permitted(tx Tx, snap *snapshot, req Request, want Interval, now time.Time) (string, error) {
	if err := mayUse(snap.cat, req); err != nil {
		return "", err
	}
	names := []string{req.Slot}
	if req.Pool != "" {
		var err error
		if names, err = d.slotsOfPool(tx, snap, req); err != nil {
			return "", err
		}
	}
	var first *tried
	var offers []*Opening
	for _, name := range names {
		t, err := d.try(tx, snap, req, name, want, now)
		if err != nil {
			return "", err
		}
		if t.refusal == nil {
			return name, nil
		}
		if first == nil {
			first = t
		}
		offers = append(offers, t.offer)
		if !first.another() {
			break // a rule about the person refuses alike everywhere
		}
	}
	if req.Pool == "" && first.another() {
		for _, name := range snap.cat.standIns(req.Group, req.Slot) {
			t, err := d.try(tx, snap, req, name, want, now)
			if err != nil {
				return "", err
			}
			offers = append(offers, t.offer)
		}
	} else if first.refusal.rule == "clash" && len(names) > 1 {
		first.refusal.safe = "Every experiment of this kind is taken at that time; choose another time, or wait for one to become free."
	}
	return "", first.refusal.problem(nearest(offers, want))
}

// mayUse refuses what is not there and what is not open to the person's group.
func mayUse(c *Catalogue, req Request) error {
	slot, known := c.Slots[req.Slot]
	if req.Pool != "" {
		_, known = c.Pools[req.Pool]
	}
	if _, ok := c.Groups[req.Group]; !ok || !known {
		return lodge.E(lodge.CodeNotFound, "There is no such group, slot or pool; reload the page.")
	}
	open := slices.Contains(req.Groups, req.Group)
	if req.Pool == "" {
		open = open && slices.Contains(c.Groups[req.Group].Policies, slot.Policy)
	} else {
		open = open && len(c.SlotsOfPool(req.Group, req.Pool)) > 0
	}
	if !open {
		e := lodge.E(lodge.CodeForbidden, "This is not open to your group; choose something else, or ask your instructor.")
		e.Details = map[string]any{"rule": "group", "value": req.Group}
		return e
	}
	return nil
}

// SlotsOfPool returns the names of the slots through which a group can use
// experiments of a pool, in the pool's order.
func (c *Catalogue) SlotsOfPool(group, pool string) []string {
	slots := c.SlotsOf(group)
	var out []string
	for _, experiment := range c.Pools[pool].Experiments {
		for _, name := range slots {
			if c.Slots[name].Experiment == experiment && len(out) < maxCandidates {
				out = append(out, name)
			}
		}
	}
	return out
}

// standIns returns the other slots of a group and a slot's policy whose
// experiments are in a pool with the slot's.
func (c *Catalogue) standIns(group, slot string) []string {
	own := c.Slots[slot]
	var out []string
	for _, pool := range sortedKeys(c.Pools) {
		if !slices.Contains(c.Pools[pool].Experiments, own.Experiment) {
			continue
		}
		for _, name := range c.SlotsOfPool(group, pool) {
			if name != slot && c.Slots[name].Policy == own.Policy && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// slotsOfPool is SlotsOfPool with those whose experiments are off-line last: they
// may be back by then.
func (d *Desk) slotsOfPool(tx Tx, snap *snapshot, req Request) ([]string, error) {
	var online, offline []string
	for _, name := range snap.cat.SlotsOfPool(req.Group, req.Pool) {
		state, err := stateOf(tx, req.Tenant, snap.cat.Slots[name].Experiment)
		switch {
		case err != nil:
			return nil, err
		case state.Online:
			online = append(online, name)
		default:
			offline = append(offline, name)
		}
	}
	return append(online, offline...), nil
}

// tried is what the rules say to a wish for one slot.
type tried struct {
	refusal *refusal // nil: the wish is accepted
	offer   *Opening // what would be; of an accepted wish the wish itself
}

// another reports whether another experiment may accept what this one refuses.
func (t *tried) another() bool {
	switch t.refusal.rule {
	case "clash", "online", "window", "next_available":
		return true
	}
	return false
}

// try applies the rules of a slot's policy to a wish.
func (d *Desk) try(tx Tx, snap *snapshot, req Request, name string, want Interval, now time.Time) (*tried, error) {
	slot := snap.cat.Slots[name]
	f, err := d.facts(tx, snap, req.Tenant, req.Person, slot, "", now)
	if err != nil {
		return nil, err
	}
	f.atOnce = req.Start.IsZero()
	r, err := f.check(want)
	if err != nil {
		return nil, err
	}
	if r == nil {
		if r, err = d.inService(tx, req.Tenant, slot.Experiment, want, now); err != nil || r != nil {
			return &tried{refusal: r}, err
		}
		return &tried{offer: &Opening{want, name}}, nil
	}
	f.atOnce = false // an offer must hold when it is asked for by its start
	better, err := f.offer(r)
	return &tried{refusal: r, offer: offerOf(better, name)}, err
}

// inService refuses a booking from now of an experiment that is off-line. Later
// ones are accepted: it may be back by then.
func (d *Desk) inService(tx Tx, t lodge.Tenant, experiment string, want Interval, now time.Time) (*refusal, error) {
	if want.Start.After(now) {
		return nil, nil
	}
	state, err := stateOf(tx, t, experiment)
	if err != nil || state.Online {
		return nil, err
	}
	return &refusal{
		code: lodge.CodeConflict, rule: "online", safe: "The experiment is off-line at the moment; book it for later, or choose another.",
	}, nil
}

// nearest returns the offer that begins nearest to what was wanted, of several
// the first.
func nearest(offers []*Opening, want Interval) *Opening {
	var best *Opening
	for _, o := range offers {
		if o != nil && (best == nil || distance(o.Interval, want) < distance(best.Interval, want)) {
			best = o
		}
	}
	return best
}

func distance(a, b Interval) time.Duration {
	return a.Start.Sub(b.Start).Abs() + (a.Length() - b.Length()).Abs()
}
