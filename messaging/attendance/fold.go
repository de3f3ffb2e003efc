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

	kindJoined    = "joined"    // somebody became a member of an open register
	kindCorrected = "corrected" // marked, also when the register is closed, or planned
	kindPlanned   = "planned"   // a register is to open by itself
	kindUnplanned = "unplanned" // it is not, or could not, for a reason
	kindTold      = "told"      // the group was told of a change

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
	terms

	Reason string `json:"reason,omitempty"` // unplanned: why it could not open; absent: it was taken back
	Told   string `json:"told,omitempty"`   // told: of what

	// marked: all that is known of some members, each under their key.
	Marks map[lodge.PersonID]sealed `json:"marks,omitempty"`

	// Before marks were sealed.
	Seen   []seen         `json:"seen,omitempty"`   // seen
	Person lodge.PersonID `json:"person,omitempty"` // confirmed
}

// terms are what a register was opened or planned with besides its hour.
type terms struct {
	Late   time.Duration `json:"late,omitempty"`
	Least  time.Duration `json:"least,omitempty"`
	Room   bool          `json:"room,omitempty"`
	Series string        `json:"series,omitempty"`
	Secret []byte        `json:"secret,omitempty"` // what its codes are made with
	Closes bool          `json:"closes,omitempty"` // by itself, at its end
	Tells  bool          `json:"tells,omitempty"`  // it is noted when the group was told
}

func (t terms) rules() Rules { return Rules{Late: t.Late, Least: t.Least, Room: t.Room} }

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
	Plans     map[string]*plan     `json:"plans,omitempty"`
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
	Told     string                     `json:"told,omitempty"` // of which change its group was told
	terms
}

// A plan is a register that is not open yet.
type plan struct {
	ID    string         `json:"id"`
	Title string         `json:"title"`
	Group string         `json:"group"`
	By    lodge.PersonID `json:"by"`
	Start time.Time      `json:"start"`
	End   time.Time      `json:"end"`
	terms
	Problem string                    `json:"problem,omitempty"` // why it did not open when it was to
	Marks   map[lodge.PersonID]sealed `json:"marks,omitempty"`   // of those who apologised already
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
	CodeAt      time.Time        `json:"code_at,omitzero"` // when the screen's code was seen
	Apology     Apology          `json:"apology,omitzero"`
	Changes     []Change         `json:"changes,omitempty"`
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
	if r == nil {
		s.foldPlan(e)
		return
	}
	switch e.Kind {
	case kindDropped:
		delete(s.Registers, e.Register)
		return
	case kindCorrected:
		r.mark(e.Marks)
		return
	case kindTold:
		r.Told = e.Told
		return
	}
	if !r.open() {
		return
	}
	switch e.Kind {
	case kindMarked:
		r.mark(e.Marks)
	case kindJoined:
		for person := range e.Members {
			if r.Members[person] == nil {
				r.Members[person] = &record{}
			}
		}
		r.mark(e.Marks)
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

func (r *register) mark(marks map[lodge.PersonID]sealed) {
	for person, one := range marks {
		if rec := r.Members[person]; rec != nil {
			rec.Sealed = one
		}
	}
}

// foldPlan applies an entry about a register that is not there, or not yet.
func (s *state) foldPlan(e entry) {
	p := s.Plans[e.Register]
	switch {
	case e.Kind == kindPlanned && p == nil && e.Register != "":
		if s.Plans == nil {
			s.Plans = make(map[string]*plan)
		}
		s.Plans[e.Register] = &plan{ID: e.Register, Title: e.Title, Group: e.Group, By: e.By, Start: e.Start, End: e.End, terms: e.terms}
	case p == nil:
	case e.Kind == kindUnplanned && e.Reason != "":
		p.Problem = e.Reason
	case e.Kind == kindUnplanned:
		delete(s.Plans, e.Register)
	case e.Kind == kindCorrected:
		for person, one := range e.Marks {
			if p.Marks == nil {
				p.Marks = make(map[lodge.PersonID]sealed)
			}
			p.Marks[person] = one
		}
	}
}

func (s *state) begin(e entry) {
	delete(s.Plans, e.Register)
	if s.Registers == nil {
		s.Registers = make(map[string]*register)
	}
	r := &register{
		ID: e.Register, Title: e.Title, Group: e.Group, By: e.By, Start: e.Start, End: e.End,
		OpenedAt: e.At, Members: make(map[lodge.PersonID]*record, len(e.Members)), terms: e.terms,
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
	sum := mark{
		Name: cmp.Or(m.Name, more.Name), Spans: maps.Clone(m.Spans),
		ConfirmedAt: earlier(m.ConfirmedAt, more.ConfirmedAt), CodeAt: earlier(m.CodeAt, more.CodeAt),
		Apology: m.Apology.or(more.Apology), Changes: together(m.Changes, more.Changes),
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

// earlier returns the earlier of two times, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
