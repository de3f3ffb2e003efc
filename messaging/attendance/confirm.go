package attendance

import (
	"context"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// A Coming is somebody who says that they are there.
type Coming struct {
	Person lodge.PersonID
	Name   string
	// Joins lets somebody in who is not in the register yet: they are of its group by
	// now.
	Joins bool
}

var (
	errEarly = lodge.E(lodge.CodeRefused, "The register has not begun; confirm when it has.")
	errRoom  = lodge.E(lodge.CodeRefused, "This register takes the code on the screen in the room; type it, or point your camera at it.")
)

// Confirm notes that a member says they are there. Only members of the register
// find it. It may be repeated; after closing it is CodeConflict, before the
// start CodeRefused, and so where it takes the code of a screen.
func (d *Desk) Confirm(ctx context.Context, tenant lodge.Tenant, id string, who Coming) (Register, error) {
	now := d.clock.Now().UTC()
	return d.come(ctx, tenant, id, who, now, func(r *register) (mark, error) {
		if r.Room {
			return mark{}, errRoom
		}
		return mark{ConfirmedAt: now}, nil
	})
}

// come writes down how somebody came at a time, once: the first time counts.
func (d *Desk) come(ctx context.Context, tenant lodge.Tenant, id string, who Coming, at time.Time, how func(*register) (mark, error)) (Register, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return Register{}, err
	}
	all := append(merged.All(who.Person), who.Person)
	here := false
	if err := d.book(tenant).View(ctx, func(s *state) {
		r := s.Registers[id]
		_, rec := r.member(merged, who.Person)
		here = rec != nil || r != nil && who.Joins
	}); err != nil {
		return Register{}, err
	}
	if !here {
		return Register{}, errUnknown
	}
	keys, err := d.keysOf(ctx, tenant, all...)
	if err != nil {
		return Register{}, err
	}
	err = d.book(tenant).Decide(ctx, func(s *state) ([]messaging.Message, error) {
		r := s.Registers[id]
		member, rec := r.member(merged, who.Person)
		kind := kindMarked
		switch {
		case r == nil || rec == nil && !who.Joins:
			return nil, errUnknown
		case rec == nil:
			member, rec, kind = merged.Of(who.Person), &record{mark: mark{Name: who.Name}}, kindJoined
		}
		if rec = rec.opened(id, keys[member]); rec == nil || keys[member] == nil {
			return nil, errErased
		}
		if slices.ContainsFunc(all, func(one lodge.PersonID) bool {
			rec := r.Members[one].opened(id, keys[one])
			return rec != nil && !earlier(rec.ConfirmedAt, rec.CodeAt).IsZero()
		}) {
			return nil, nil
		}
		switch {
		case !r.open():
			return nil, errClosed
		case at.Before(r.Start):
			return nil, errEarly
		}
		came, err := how(r)
		if err != nil {
			return nil, err
		}
		return noted(kind, id, map[lodge.PersonID]mark{member: rec.mark.with(came)}, keys)
	})
	if err != nil {
		return Register{}, err
	}
	return d.Get(ctx, tenant, id)
}
