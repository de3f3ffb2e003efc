package attendance

import (
	"context"

	"github.com/lodge-gateway/lodge"
)

// Unconfirmed counts the registers in which a person can say by one tap, at this
// moment, that they are there, and has not.
func (d *Desk) Unconfirmed(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) (int, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return 0, err
	}
	all := merged.All(person)
	now := d.clock.Now()
	open := map[string]map[lodge.PersonID]*record{} // by register, what is known of this person
	if err := d.book(tenant).View(ctx, func(s *state) {
		for id, r := range s.Registers {
			if !r.open() || r.Room || now.Before(r.Start) {
				continue
			}
			for _, one := range all {
				if rec := r.Members[one]; rec != nil {
					if open[id] == nil {
						open[id] = map[lodge.PersonID]*record{}
					}
					kept := *rec
					open[id][one] = &kept
				}
			}
		}
	}); err != nil || len(open) == 0 {
		return 0, err
	}
	keys, err := d.keys.Keys(ctx, tenant, all)
	if err != nil {
		return 0, err
	}
	n := 0
	for id, mine := range open {
		there, done := false, false
		for one, rec := range mine {
			if rec = rec.opened(id, keys[one]); rec != nil {
				there = true
				done = done || !earlier(rec.ConfirmedAt, rec.CodeAt).IsZero()
			}
		}
		if there && !done {
			n++
		}
	}
	return n, nil
}
