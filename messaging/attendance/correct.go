package attendance

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

const (
	maxReason  = 500 // characters of a reason, and of an apology
	maxChanges = 50  // of one mark; the oldest go first
	// ApologyWindow is how long after its end somebody can apologise for having
	// missed an hour.
	ApologyWindow = 7 * 24 * time.Hour
)

// A Change is a state that whoever keeps the register entered by hand; an empty one
// leaves it to the rules again.
type Change struct {
	State  State          `json:"state"`
	Reason string         `json:"reason"`
	By     lodge.PersonID `json:"by"`
	At     time.Time      `json:"at"`
}

// A Correction is a state to be entered by hand.
type Correction struct {
	Person lodge.PersonID
	State  State
	Reason string
}

// The states of an apology.
const (
	Pending  = "pending"
	Accepted = "accepted"
	Declined = "declined"
)

// An Apology is what a member says for not coming. The zero Apology is none.
type Apology struct {
	Words     string         `json:"words,omitempty"`
	At        time.Time      `json:"at,omitzero"`
	State     string         `json:"state,omitempty"` // Pending, Accepted, Declined
	DecidedBy lodge.PersonID `json:"decided_by,omitempty"`
	DecidedAt time.Time      `json:"decided_at,omitzero"`
}

// or returns the apology that counts of two: the later, and of one the decided.
func (a Apology) or(b Apology) Apology {
	if cmp.Or(a.At.Compare(b.At), a.DecidedAt.Compare(b.DecidedAt), cmp.Compare(a.State, b.State), cmp.Compare(a.Words, b.Words)) < 0 {
		return b
	}
	return a
}

// together returns the changes of two marks of one member, in their order.
func together(a, b []Change) []Change {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.By, b.By))
	})
	all = slices.CompactFunc(all, func(a, b Change) bool {
		return a.At.Equal(b.At) && a.State == b.State && a.Reason == b.Reason && a.By == b.By
	})
	return all[max(0, len(all)-maxChanges):]
}

// words are a reason or an apology, which have some and not too many.
func words(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" || utf8.RuneCountInString(s) > maxReason {
		return "", lodge.E(lodge.CodeRefused, fmt.Sprintf("Say why, in at most %d characters.", maxReason))
	}
	return s, nil
}

// Correct enters states by hand, also when the register is closed: all of them or
// none. What is there already is not entered again. It returns what changed, each
// with the state it had before.
func (d *Desk) Correct(ctx context.Context, tenant lodge.Tenant, id string, by lodge.PersonID, corrections []Correction) (Register, []Mark, error) {
	for i, c := range corrections {
		switch c.State {
		case Present, Late, Excused, Absent, "":
		default:
			return Register{}, nil, lodge.E(lodge.CodeRefused, "A mark is present, late, excused or absent.")
		}
		reason, err := words(c.Reason)
		if err != nil {
			return Register{}, nil, err
		}
		corrections[i].Reason = reason
	}
	var before []Mark
	r, err := d.rewrite(ctx, tenant, id, func(now time.Time, r *register, find func(lodge.PersonID) (lodge.PersonID, *record)) (map[lodge.PersonID]mark, error) {
		before = nil
		changed := map[lodge.PersonID]mark{}
		for _, c := range corrections {
			member, rec := find(c.Person)
			if rec == nil {
				return nil, lodge.E(lodge.CodeNotFound, "This person is not in the register.")
			}
			if n := len(rec.Changes); n > 0 && rec.Changes[n-1].State == c.State && rec.Changes[n-1].Reason == c.Reason || n == 0 && c.State == "" {
				continue
			}
			at := now
			// The last one counts, also where another node's clock was ahead.
			if n := len(rec.Changes); n > 0 && !at.After(rec.Changes[n-1].At) {
				at = rec.Changes[n-1].At.Add(time.Microsecond)
			}
			before = append(before, rec.view(member, r))
			changed[member] = rec.mark.with(mark{Changes: []Change{{State: c.State, Reason: c.Reason, By: by, At: at}}})
		}
		return changed, nil
	})
	return r, before, err
}

// Decide accepts a member's apology, or declines it. It may be changed.
func (d *Desk) Decide(ctx context.Context, tenant lodge.Tenant, id string, by, person lodge.PersonID, accept bool) (Register, error) {
	decision := Declined
	if accept {
		decision = Accepted
	}
	return d.rewrite(ctx, tenant, id, func(now time.Time, _ *register, find func(lodge.PersonID) (lodge.PersonID, *record)) (map[lodge.PersonID]mark, error) {
		member, rec := find(person)
		if rec == nil || rec.Apology.State == "" {
			return nil, lodge.E(lodge.CodeNotFound, "This person has not apologised.")
		}
		if rec.Apology.State == decision {
			return nil, nil
		}
		a := rec.Apology
		if !now.After(a.DecidedAt) {
			now = a.DecidedAt.Add(time.Microsecond)
		}
		a.State, a.DecidedBy, a.DecidedAt = decision, by, now
		return map[lodge.PersonID]mark{member: rec.mark.with(mark{Apology: a})}, nil
	})
}

// Apologise notes why a member does not come, or did not: before the hour, and until
// a week after. What was decided on stays as it is.
func (d *Desk) Apologise(ctx context.Context, tenant lodge.Tenant, id string, who Coming, said string) error {
	said, err := words(said)
	if err != nil {
		return err
	}
	_, err = d.rewrite(ctx, tenant, id, func(now time.Time, r *register, find func(lodge.PersonID) (lodge.PersonID, *record)) (map[lodge.PersonID]mark, error) {
		member, rec := find(who.Person)
		if rec == nil {
			if !who.Joins || r.Members != nil {
				return nil, errUnknown
			}
			rec = &record{mark: mark{Name: who.Name}} // of a plan
		}
		switch {
		case rec.Apology.Words == said:
			return nil, nil
		case rec.Apology.State == Accepted || rec.Apology.State == Declined:
			return nil, lodge.E(lodge.CodeConflict, "Your apology was decided on already; talk to your instructor.")
		case now.After(r.End.Add(ApologyWindow)):
			return nil, lodge.E(lodge.CodeRefused, "It is too late to apologise here; talk to your instructor.")
		}
		return map[lodge.PersonID]mark{member: rec.mark.with(mark{Apology: Apology{Words: said, At: now, State: Pending}})}, nil
	}, who.Person)
	return err
}

// rewrite changes marks of a register, also of one that is closed, and, for who is
// named, of one that is planned. change gets the register as it is, with Members nil
// where it is a plan, and how to find somebody in it with all that is known of them.
func (d *Desk) rewrite(
	ctx context.Context, tenant lodge.Tenant, id string,
	change func(now time.Time, r *register, find func(lodge.PersonID) (lodge.PersonID, *record)) (map[lodge.PersonID]mark, error), planned ...lodge.PersonID,
) (Register, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return Register{}, err
	}
	now := d.clock.Now().UTC()
	var members []lodge.PersonID
	opened := false
	if err := d.book(tenant).View(ctx, func(s *state) {
		if r := s.Registers[id]; r != nil {
			opened = true
			for member := range r.Members {
				members = append(members, member)
			}
		} else if s.Plans[id] != nil {
			for _, person := range planned {
				members = append(members, merged.All(person)...)
			}
		}
	}); err != nil {
		return Register{}, err
	}
	if len(members) == 0 {
		return Register{}, errUnknown
	}
	keys, err := d.keysOf(ctx, tenant, members...)
	if err != nil {
		return Register{}, err
	}
	err = d.book(tenant).Decide(ctx, func(s *state) ([]messaging.Message, error) {
		r := s.Registers[id]
		find := func(person lodge.PersonID) (lodge.PersonID, *record) {
			member, rec := r.member(merged, person)
			return member, rec.opened(id, keys[member])
		}
		if p := s.Plans[id]; r == nil && p != nil {
			r = &register{ID: p.ID, Start: p.Start, End: p.End, terms: p.terms}
			find = func(person lodge.PersonID) (lodge.PersonID, *record) {
				member, rec := p.member(merged, person)
				return member, rec.opened(id, keys[member])
			}
		}
		if r == nil {
			return nil, errUnknown
		}
		changed, err := change(now, r, find)
		if err != nil {
			return nil, err
		}
		return noted(kindCorrected, id, changed, keys)
	})
	if err != nil || !opened {
		return Register{}, err
	}
	return d.Get(ctx, tenant, id)
}
