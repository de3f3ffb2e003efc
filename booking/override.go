package booking

import (
	"context"
	"maps"
	"slices"

	"github.com/lodge-gateway/lodge"
)

// An Override sets limits and UIs for single people and services, in place of
// those of the policy that their group uses. A limit that is nil leaves the
// policy's. One for a policy counts before one for all, a person's before a
// service's.
type Override struct {
	Subjects []string `json:"subjects,omitempty"` // people, written issuer:subject
	Services []string `json:"services,omitempty"` // services that book, by the names of their codes
	Policy   string   `json:"policy,omitempty"`   // empty: all policies

	BookAhead   *Duration `json:"book_ahead,omitempty"`
	MinDuration *Duration `json:"min_duration,omitempty"`
	MaxDuration *Duration `json:"max_duration,omitempty"`
	MaxBookings *int      `json:"max_bookings,omitempty"`
	MaxUsage    *Duration `json:"max_usage,omitempty"`
	UISet       string    `json:"ui_set,omitempty"` // empty: the slot's
}

// People tells a Desk which accounts a person signs in with, written
// issuer:subject.
type People interface {
	Subjects(ctx context.Context, t lodge.Tenant, person lodge.PersonID) ([]string, error)
}

// SetPeople sets who is asked for people's accounts. It is for wiring, before the
// first call and before Run; without it no override counts for a person.
func (d *Desk) SetPeople(p People) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.people = p
}

// whom is whose overrides count.
type whom struct {
	subjects []string
	service  string
}

// whomFor asks whose overrides count for a person, and for a service that books
// for them. Nobody is asked while no override names a person.
func (d *Desk) whomFor(ctx context.Context, t lodge.Tenant, person lodge.PersonID, service string) (whom, error) {
	who := whom{service: service}
	d.mu.Lock()
	people := d.people
	d.mu.Unlock()
	if people == nil {
		return who, nil
	}
	var named bool
	err := d.store.View(ctx, func(tx Tx) error {
		snap, err := d.snapshot(tx, t)
		if err != nil {
			return err
		}
		named = snap.named
		if person, err = tx.Owner(t, person); err != nil {
			return err
		}
		return nil
	})
	if err != nil || !named {
		return who, err
	}
	who.subjects, err = people.Subjects(ctx, t, person)
	return who, err
}

// whomOf is whomFor for the owner of a booking.
func (d *Desk) whomOf(ctx context.Context, t lodge.Tenant, booking string) (whom, error) {
	var owner lodge.PersonID
	err := d.store.View(ctx, func(tx Tx) error {
		rec, err := tx.Booking(t, booking)
		owner = rec.Owner
		return err
	})
	if err != nil {
		return whom{}, err
	}
	return d.whomFor(ctx, t, owner, "")
}

// as is the catalogue as it counts for somebody: the policies with the limits of
// their overrides, the slots with the UI sets.
func (s *snapshot) as(who whom) *snapshot {
	if len(s.cat.Overrides) == 0 || len(who.subjects) == 0 && who.service == "" {
		return s
	}
	// From the weakest to the strongest, each over the ones before.
	ranked := make([][]Override, 4)
	for _, name := range sortedKeys(s.cat.Overrides) {
		o := s.cat.Overrides[name]
		rank := 0
		switch {
		case slices.ContainsFunc(o.Subjects, func(one string) bool { return slices.Contains(who.subjects, one) }):
			rank = 2
		case who.service != "" && slices.Contains(o.Services, who.service):
		default:
			continue
		}
		if o.Policy != "" {
			rank++
		}
		ranked[rank] = append(ranked[rank], o)
	}
	var count []Override
	for _, list := range ranked {
		count = append(count, list...)
	}
	if len(count) == 0 {
		return s
	}
	cat := *s.cat
	cat.Policies, cat.Slots = maps.Clone(cat.Policies), maps.Clone(cat.Slots)
	for _, o := range count {
		o.over(&cat)
	}
	own := *s
	own.cat = &cat
	return &own
}

// over lays an override over a catalogue.
func (o Override) over(cat *Catalogue) {
	for name, p := range cat.Policies {
		if o.Policy != "" && o.Policy != name {
			continue
		}
		set(&p.BookAhead, o.BookAhead)
		set(&p.MinDuration, o.MinDuration)
		set(&p.MaxDuration, o.MaxDuration)
		set(&p.MaxBookings, o.MaxBookings)
		set(&p.MaxUsage, o.MaxUsage)
		cat.Policies[name] = p
	}
	if o.UISet == "" {
		return
	}
	for name, slot := range cat.Slots {
		if o.Policy == "" || o.Policy == slot.Policy {
			slot.UISet = o.UISet
			cat.Slots[name] = slot
		}
	}
}

func set[T any](limit **T, to *T) {
	if to != nil {
		*limit = to
	}
}

func (k *checker) override(object string, o *Override) bool {
	sound := true
	if len(o.Subjects) == 0 && len(o.Services) == 0 {
		k.fault(object, "subjects", "the override is for nobody; name subjects or services")
		sound = false
	}
	sound = k.subjects(object, o.Subjects) && sound
	if o.Policy != "" {
		sound = known(k, k.c.Policies, "policies", object, "policy", o.Policy) && sound
	}
	if o.UISet != "" {
		sound = known(k, k.c.UISets, "ui_sets", object, "ui_set", o.UISet) && sound
	}
	return k.limits(object, o.MinDuration, o.MaxDuration, o.MaxBookings, []limit{
		{"book_ahead", o.BookAhead}, {"min_duration", o.MinDuration}, {"max_duration", o.MaxDuration}, {"max_usage", o.MaxUsage},
	}) && sound
}
