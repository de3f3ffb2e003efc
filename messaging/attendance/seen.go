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
	news := make(map[string]span) // by register
	member := make(map[string]lodge.PersonID)
	due := make(map[string]bool)
	open := make(map[string]bool)
	err = book.View(ctx, func(s *state) {
		for id, r := range s.Registers {
			if !r.open() {
				continue
			}
			open[id] = true
			as, rec := r.member(merged, person)
			member[id] = as
			n, ok := newSpan(from, to, r.Start, r.End)
			if rec == nil || !ok || rec.Spans[source].covers(n) {
				continue
			}
			news[id] = n
			known := rec.Spans[source]
			due[id] = len(known) == 0 || n.To-known.last() >= every.Microseconds()
		}
	})
	if err != nil {
		return err
	}
	var msgs []messaging.Message
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
		wait.add(id, member[id], name, source, n)
		if due[id] {
			wrote[id] = wait[id][member[id]].clone()
		}
	}
	d.mu.Unlock()
	for id, who := range wrote {
		more, err := seenMessages(id, map[lodge.PersonID]seen{who.Person: who})
		if err != nil {
			return err
		}
		msgs = append(msgs, more...)
	}
	if len(msgs) == 0 {
		return nil
	}
	if err := book.Append(ctx, msgs...); err != nil {
		return err // it waits for the next time
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, who := range wrote {
		wait.settle(id, who)
	}
	return nil
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
