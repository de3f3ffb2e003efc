package attendance

import (
	"cmp"
	"encoding/json"
	"maps"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// The kinds of entries.
const (
	kindOpened  = "opened"
	kindMarked  = "marked"
	kindClosed  = "closed"
	kindDropped = "dropped" // and with it all that is known of it

	kindSeen      = "seen" // before marks were sealed
	kindConfirmed = "confirmed"
)

// An entry is the body of one entry of the registers' topic.
type entry struct {
	Kind     string         `json:"kind"`
	Register string         `json:"register"`
	At       time.Time      `json:"at,omitzero"` // opened, confirmed, closed
	By       lodge.PersonID `json:"by,omitempty"`

	Title   string                    `json:"title,omitempty"` // opened, and so to Members
	Group   string                    `json:"group,omitempty"`
	Start   time.Time                 `json:"start,omitzero"`
	End     time.Time                 `json:"end,omitzero"`
	Members map[lodge.PersonID]string `json:"members,omitempty"` // empty; names, before they were sealed

	// marked: all that is known of some members, each under their key.
	Marks map[lodge.PersonID]sealed `json:"marks,omitempty"`

	// Before marks were sealed.
	Seen   []seen         `json:"seen,omitempty"`   // seen
	Person lodge.PersonID `json:"person,omitempty"` // confirmed
}

// seen is what was seen of one person, within the register's interval.
type seen struct {
	Person lodge.PersonID   `json:"person"`
	Name   string           `json:"name,omitempty"`
	Spans  map[Source]spans `json:"spans"`
}

func (e entry) message() (messaging.Message, error) {
	body, err := json.Marshal(e)
	return messaging.Message{Body: body}, err
}

// state is what the entries of a tenant's topic fold into.
type state struct {
	Registers map[string]*register `json:"registers"`
}

// A register is one register as it is folded.
type register struct {
	ID       string                     `json:"id"`
	Title    string                     `json:"title"`
	Group    string                     `json:"group"`
	By       lodge.PersonID             `json:"by"`
	Start    time.Time                  `json:"start"`
	End      time.Time                  `json:"end"`
	OpenedAt time.Time                  `json:"opened_at"`
	ClosedAt time.Time                  `json:"closed_at,omitzero"`
	Members  map[lodge.PersonID]*record `json:"members"`
}

// A record is what is known of one member.
type record struct {
	Sealed sealed `json:"sealed,omitempty"` // a mark, which the last one written replaces
	mark          // what is not sealed: that of before, or what was opened
}

// A mark is what a member did, and their name.
type mark struct {
	Name        string           `json:"name,omitempty"`
	Spans       map[Source]spans `json:"spans,omitempty"`
	ConfirmedAt time.Time        `json:"confirmed_at,omitzero"`
}

func (r *register) open() bool { return r.ClosedAt.IsZero() }

// fold applies one entry. What comes too late, twice or for nobody changes
// nothing, so of those who race the log's order decides.
func fold(s *state, item messaging.Item) {
	var e entry
	if json.Unmarshal(item.Body, &e) != nil {
		return // of a kind that this version does not know
	}
	r := s.Registers[e.Register]
	if e.Kind == kindOpened {
		if r == nil {
			s.begin(e)
		}
		return
	}
	if e.Kind == kindDropped {
		delete(s.Registers, e.Register)
		return
	}
	if r == nil || !r.open() {
		return
	}
	switch e.Kind {
	case kindMarked:
		for person, sealed := range e.Marks {
			if rec := r.Members[person]; rec != nil {
				rec.Sealed = sealed
			}
		}
	case kindSeen:
		for _, who := range e.Seen {
			r.see(who)
		}
	case kindConfirmed:
		if rec := r.Members[e.Person]; rec != nil && rec.ConfirmedAt.IsZero() {
			rec.ConfirmedAt = e.At
		}
	case kindClosed:
		r.ClosedAt = e.At
	}
}

func (s *state) begin(e entry) {
	if s.Registers == nil {
		s.Registers = make(map[string]*register)
	}
	r := &register{
		ID: e.Register, Title: e.Title, Group: e.Group, By: e.By, Start: e.Start, End: e.End,
		OpenedAt: e.At, Members: make(map[lodge.PersonID]*record, len(e.Members)),
	}
	for person, name := range e.Members {
		r.Members[person] = &record{mark: mark{Name: name}}
	}
	s.Registers[r.ID] = r
}

func (r *register) see(who seen) {
	if rec := r.Members[who.Person]; rec != nil {
		rec.mark = rec.mark.with(mark{Name: who.Name, Spans: who.Spans})
	}
}

// with returns what two marks of one member say together; the name of m is kept
// if it has one. Neither is changed.
func (m mark) with(more mark) mark {
	sum := mark{Name: cmp.Or(m.Name, more.Name), ConfirmedAt: m.ConfirmedAt, Spans: maps.Clone(m.Spans)}
	if sum.ConfirmedAt.IsZero() || !more.ConfirmedAt.IsZero() && more.ConfirmedAt.Before(sum.ConfirmedAt) {
		sum.ConfirmedAt = more.ConfirmedAt
	}
	for source, list := range more.Spans {
		for _, n := range list {
			if sum.Spans == nil {
				sum.Spans = make(map[Source]spans)
			}
			sum.Spans[source] = sum.Spans[source].add(n)
		}
	}
	return sum
}
