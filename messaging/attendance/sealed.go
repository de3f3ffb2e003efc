package attendance

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// sealed is a mark under its member's key.
type sealed []byte

// about is what a mark is bound to beside its member's key.
func about(register string) string { return "register:" + register }

func (m mark) seal(key []byte, register string) (sealed, error) {
	plain, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return messaging.SealPersonal(key, about(register), plain)
}

// errErased answers somebody whose key is gone.
var errErased = lodge.Wrap(lodge.CodeForbidden, "This person was erased here and can confirm nothing any more.", messaging.ErrErased)

// keysOf returns the keys that the marks of people are sealed under, making those
// that are not there; the erased have none.
func (d *Desk) keysOf(ctx context.Context, tenant lodge.Tenant, people ...lodge.PersonID) (map[lodge.PersonID][]byte, error) {
	return messaging.EnsureKeys(ctx, d.keys, tenant, people)
}

// opened returns a record with all that is known of the member, or nil when the
// key is not there or does not open it: the member was erased.
func (rec *record) opened(register string, key []byte) *record {
	if rec == nil || len(rec.Sealed) == 0 {
		return rec
	}
	if key == nil {
		return nil
	}
	plain, err := messaging.OpenPersonal(key, about(register), rec.Sealed)
	var m mark
	if err != nil || json.Unmarshal(plain, &m) != nil {
		return nil
	}
	return &record{mark: m.with(rec.mark)}
}

// opened returns a register that nothing changes any more, with what is known of
// its members. Those who were erased are not among them.
func (r *register) opened(keys map[lodge.PersonID][]byte) *register {
	one := *r
	one.Members = make(map[lodge.PersonID]*record, len(r.Members))
	for person, rec := range r.Members {
		if open := rec.opened(r.ID, keys[person]); open != nil {
			one.Members[person] = open
		}
	}
	return &one
}

// apart returns a register that later entries do not change.
func (r *register) apart() *register {
	one := *r
	one.Members = make(map[lodge.PersonID]*record, len(r.Members))
	for person, rec := range r.Members {
		kept := *rec
		kept.Spans = maps.Clone(rec.Spans) // a list is never changed in place
		one.Members[person] = &kept
	}
	return &one
}

// read returns registers, with people as whom they count; choose picks them.
func (d *Desk) read(ctx context.Context, tenant lodge.Tenant, choose func(*state) []*register) ([]Register, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var chosen []*register
	if err := d.book(tenant).View(ctx, func(s *state) {
		for _, r := range choose(s) {
			chosen = append(chosen, r.apart())
		}
	}); err != nil {
		return nil, err
	}
	people := map[lodge.PersonID]bool{}
	for _, r := range chosen {
		for person := range r.Members {
			people[person] = true
		}
	}
	keys, err := d.keys.Keys(ctx, tenant, slices.Collect(maps.Keys(people)))
	if err != nil {
		return nil, err
	}
	var all []Register
	for _, r := range chosen {
		all = append(all, r.opened(keys).as(merged).view())
	}
	return all, nil
}

// marked returns the entries that write marks down, as few as fit. Of members who
// were erased nothing is written.
func marked(register string, marks map[lodge.PersonID]mark, keys map[lodge.PersonID][]byte) ([]messaging.Message, error) {
	return noted(kindMarked, register, marks, keys)
}

// noted is marked for entries of another kind: those that make members, and those
// that change what is closed.
func noted(kind, register string, marks map[lodge.PersonID]mark, keys map[lodge.PersonID][]byte) ([]messaging.Message, error) {
	var msgs []messaging.Message
	for people := range slices.Chunk(slices.Sorted(maps.Keys(marks)), marksPerEntry) {
		e := entry{Kind: kind, Register: register, Marks: make(map[lodge.PersonID]sealed, len(people))}
		if kind == kindJoined {
			e.Members = make(map[lodge.PersonID]string, len(people))
		}
		for _, person := range people {
			if keys[person] == nil {
				continue
			}
			var err error
			if e.Marks[person], err = marks[person].seal(keys[person], register); err != nil {
				return nil, err
			}
			if kind == kindJoined {
				e.Members[person] = ""
			}
		}
		if len(e.Marks) == 0 {
			continue
		}
		msg, err := e.message()
		if err != nil {
			return nil, err
		}
		msgs = append(msgs, msg)
	}
	return msgs, nil
}
