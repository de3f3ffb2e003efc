package attendance

import (
	"context"
	"maps"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// every is how far a member's presence must have grown before it is written
// down again.
const every = time.Minute

// waiting is what was seen and not yet written, by register and person. It is
// at most a minute of what goes on, and closing writes it.
type waiting map[string]map[lodge.PersonID]seen

// Seen notes that a person was there during an interval, in every open register
// that has them as a member. It may be repeated, also with an interval that has
// grown since. A person's first sighting by a source is written down at once,
// and then no more often than once a minute and register: what comes in between
// goes with the next one or with the closing.
func (d *Desk) Seen(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID, name string, source Source, from, to time.Time) error {
	if source != FromExperiment && source != FromMessages {
		return lodge.E(lodge.CodeInvalid, "A sighting comes from an experiment or from messages.")
	}
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return err
	}
	book := d.book(tenant)
	type place struct {
		member     lodge.PersonID
		rec        record
		start, end time.Time
	}
	places := make(map[string]place) // by register
	open := make(map[string]bool)
	var members []lodge.PersonID
	err = book.View(ctx, func(s *state) {
		for id, r := range s.Registers {
			if !r.open() {
				continue
			}
			open[id] = true
			if member, rec := r.member(merged, person); rec != nil {
				places[id] = place{member, *rec, r.Start, r.End}
				members = append(members, member)
			}
		}
	})
	if err != nil {
		return err
	}
	var keys map[lodge.PersonID][]byte
	if len(members) > 0 {
		if keys, err = d.keysOf(ctx, tenant, members...); err != nil {
			return err
		}
	}
	news := make(map[string]span)
	due := make(map[string]bool)
	for id, at := range places {
		n, ok := newSpan(from, to, at.start, at.end)
		rec := at.rec.opened(id, keys[at.member])
		if rec == nil || !ok || rec.Spans[source].covers(n) {
			continue
		}
		news[id] = n
		known := rec.Spans[source]
		due[id] = len(known) == 0 || n.To-known.last() >= every.Microseconds()
	}
	wrote := make(map[string]seen)
	d.mu.Lock()
	wait := d.pending[tenant]
	if wait == nil {
		wait = make(waiting)
		d.pending[tenant] = wait
	}
	// What waits for a register that another node has closed came too late.
	maps.DeleteFunc(wait, func(id string, _ map[lodge.PersonID]seen) bool { return !open[id] })
	for id, n := range news {
		wait.add(id, places[id].member, name, source, n)
		if due[id] {
			wrote[id] = wait[id][places[id].member].clone()
		}
	}
	d.mu.Unlock()
	if len(wrote) == 0 {
		return nil
	}
	err = book.Decide(ctx, func(s *state) ([]messaging.Message, error) {
		var msgs []messaging.Message
		for id, who := range wrote {
			more, err := marked(id, s.Registers[id].grown(map[lodge.PersonID]seen{who.Person: who}, keys), keys)
			if err != nil {
				return nil, err
			}
			msgs = append(msgs, more...)
		}
		return msgs, nil
	})
	if err != nil {
		return err // it waits for the next time
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, who := range wrote {
		wait.settle(id, who)
	}
	return nil
}

// grown returns the marks of those members of an open register of whom more was
// seen than it has, as they are with that.
func (r *register) grown(more map[lodge.PersonID]seen, keys map[lodge.PersonID][]byte) map[lodge.PersonID]mark {
	grown := make(map[lodge.PersonID]mark)
	if r == nil || !r.open() {
		return grown
	}
	for person, who := range more {
		rec := r.Members[person].opened(r.ID, keys[person])
		if rec == nil || who.within(rec.mark) {
			continue
		}
		grown[person] = rec.mark.with(who.mark())
	}
	return grown
}

// within reports whether a mark says all of it already.
func (s seen) within(m mark) bool {
	for source, list := range s.Spans {
		for _, n := range list {
			if !m.Spans[source].covers(n) {
				return false
			}
		}
	}
	return true
}

func (w waiting) add(id string, person lodge.PersonID, name string, source Source, n span) {
	if w[id] == nil {
		w[id] = make(map[lodge.PersonID]seen)
	}
	who, ok := w[id][person]
	if !ok {
		who = seen{Person: person, Name: name, Spans: make(map[Source]spans)}
		w[id][person] = who
	}
	who.Spans[source] = who.Spans[source].add(n)
}

// settle forgets what was written, unless more has come since.
func (w waiting) settle(id string, wrote seen) {
	who, ok := w[id][wrote.Person]
	if !ok {
		return
	}
	for source, list := range who.Spans {
		rest := list[:0:0]
		for _, n := range list {
			if !wrote.Spans[source].covers(n) {
				rest = append(rest, n)
			}
		}
		if len(rest) == 0 {
			delete(who.Spans, source)
		} else {
			who.Spans[source] = rest
		}
	}
	if len(who.Spans) == 0 {
		delete(w[id], wrote.Person)
	}
}

func (s seen) clone() seen {
	s.Spans = maps.Clone(s.Spans) // add never changes a list in place
	return s
}

// waiting returns what waits for a register.
func (d *Desk) waiting(tenant lodge.Tenant, id string) map[lodge.PersonID]seen {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[lodge.PersonID]seen)
	for person, who := range d.pending[tenant][id] {
		all[person] = who.clone()
	}
	return all
}

func (d *Desk) forget(tenant lodge.Tenant, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.pending[tenant], id)
}
