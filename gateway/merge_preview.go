package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/messaging/attendance"
	"github.com/lodge-gateway/lodge/messaging/survey"
	"github.com/lodge-gateway/lodge/sessions"
)

// MergePreview says what a merge would do. Version stands for all of it.
type MergePreview struct {
	Version    string         `json:"version"`
	From       PersonView     `json:"from"`
	Into       PersonView     `json:"into"`
	Identities []SubjectView  `json:"identities"` // that would sign the other person in
	Bookings   []MergeBooking `json:"bookings"`   // that the other person would have
	Answers    []MergeAnswer  `json:"answers"`
	Marks      []MergeMark    `json:"marks"`
	Sessions   []MergeSession `json:"sessions"` // that would end
}

// MergeBooking is a booking that would change hands.
type MergeBooking struct {
	ID         string    `json:"id"`
	Experiment string    `json:"experiment"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Cancelled  bool      `json:"cancelled"`
}

// MergeAnswer is a survey that the merged person answered. Clash: so did the
// other; Counts says whose answer counts then: the later one's.
type MergeAnswer struct {
	Survey string `json:"survey"`
	Title  string `json:"title"`
	Clash  bool   `json:"clash"`
	Counts string `json:"counts"` // from, into
}

// MergeMark is a register that has the merged person. Clash: it has the other
// too; Counts says whose mark counts then: present beats absent, and where both
// say the same they count together.
type MergeMark struct {
	Register string `json:"register"`
	Title    string `json:"title"`
	State    string `json:"state"`           // the merged person's
	Other    string `json:"other,omitempty"` // the other person's, where they clash
	Clash    bool   `json:"clash"`
	Counts   string `json:"counts"` // from, into, both
}

// MergeSession is a live session of the merged person.
type MergeSession struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Device    string    `json:"device,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// previewMerge finds what a merge would do now.
func (g *Gateway) previewMerge(ctx context.Context, tenant lodge.Tenant, fromID, intoID lodge.PersonID) (MergePreview, error) {
	merged, err := g.persons.Merged(ctx, tenant)
	if err != nil {
		return MergePreview{}, err
	}
	intoID = merged.Of(intoID)
	people, err := g.persons.Get(ctx, tenant, fromID, intoID)
	if err != nil {
		return MergePreview{}, err
	}
	if fromID == intoID {
		return MergePreview{}, lodge.E(lodge.CodeRefused, "Both are one person already.")
	}
	if len(people) != 2 {
		return MergePreview{}, errNotThere("person")
	}
	from, into := people[0], people[1]
	switch {
	case from.MergedInto != "":
		return MergePreview{}, lodge.Wrap(lodge.CodeConflict, "This person was merged already; undo that first.", idp.ErrMerged)
	case into.Guest && !from.Guest:
		return MergePreview{}, lodge.Wrap(lodge.CodeRefused, "A guest cannot take in somebody who signs in; merge the guest into that person.", idp.ErrIntoGuest)
	}
	p := MergePreview{From: personView(from), Into: personView(into), Bookings: []MergeBooking{}, Answers: []MergeAnswer{}, Marks: []MergeMark{}, Sessions: []MergeSession{}}
	p.Identities = p.From.Subjects
	bookings, err := g.desk.ListByPerson(ctx, tenant, fromID, time.Time{}, time.Time{})
	if err != nil {
		return MergePreview{}, err
	}
	for _, b := range bookings {
		p.Bookings = append(p.Bookings, MergeBooking{ID: b.ID, Experiment: b.Experiment, Start: b.Start, End: b.End, Cancelled: !b.CancelledAt.IsZero()})
	}
	both := append(merged.All(fromID), merged.All(intoID)...)
	answers, err := g.surveys.AnsweredBy(ctx, tenant, both)
	if err != nil {
		return MergePreview{}, err
	}
	marks, err := g.register.MarkedOf(ctx, tenant, both)
	if err != nil {
		return MergePreview{}, err
	}
	p.answers(answers, merged, fromID)
	p.marks(marks, merged, fromID)
	live, err := g.sessions.List(ctx, tenant, sessions.Filter{Person: fromID})
	if err != nil {
		return MergePreview{}, err
	}
	for _, s := range live {
		if s.State(g.clock.Now()) != sessions.Revoked && s.Messages(g.clock.Now()) && s.Kind != sessions.Host {
			p.Sessions = append(p.Sessions, MergeSession{ID: string(s.ID), Kind: string(s.Kind), Device: s.Device, CreatedAt: s.CreatedAt})
		}
	}
	said, err := json.Marshal(p)
	sum := sha256.Sum256(said)
	p.Version = base64.RawURLEncoding.EncodeToString(sum[:16])
	return p, err
}

// The two sides of a merge, in previews.
const (
	sideFrom = "from"
	sideInto = "into"
	sideBoth = "both"
)

func side(m lodge.Merged, id, from lodge.PersonID) string {
	if m.Of(id) == from {
		return sideFrom
	}
	return sideInto
}

// answers gathers the surveys that the merged person answered, in their order;
// of each side the answer that counts there.
func (p *MergePreview) answers(all []survey.Answered, m lodge.Merged, from lodge.PersonID) {
	type pair struct {
		title string
		rank  map[string]int
	}
	found := map[string]*pair{}
	var order []string
	for _, a := range all {
		one := found[a.Survey]
		if one == nil {
			one = &pair{title: a.Title, rank: map[string]int{}}
			found[a.Survey], order = one, append(order, a.Survey)
		}
		s := side(m, a.Person, from)
		one.rank[s] = max(one.rank[s], a.Rank+1)
	}
	for _, id := range order {
		one := found[id]
		mine, other := one.rank[sideFrom], one.rank[sideInto]
		if mine == 0 {
			continue
		}
		answer := MergeAnswer{Survey: id, Title: one.title, Clash: other > 0, Counts: sideFrom}
		if other > mine {
			answer.Counts = sideInto
		}
		p.Answers = append(p.Answers, answer)
	}
}

// marks gathers the registers that have the merged person, in their order.
func (p *MergePreview) marks(all []attendance.Marked, m lodge.Merged, from lodge.PersonID) {
	type pair struct {
		title string
		state map[string]attendance.State
	}
	found := map[string]*pair{}
	var order []string
	for _, mark := range all {
		one := found[mark.Register]
		if one == nil {
			one = &pair{title: mark.Title, state: map[string]attendance.State{}}
			found[mark.Register], order = one, append(order, mark.Register)
		}
		if s := side(m, mark.Person, from); one.state[s] != attendance.Present {
			one.state[s] = mark.State
		}
	}
	for _, id := range order {
		one := found[id]
		mine, other := one.state[sideFrom], one.state[sideInto]
		if mine == "" {
			continue
		}
		mark := MergeMark{Register: id, Title: one.title, State: string(mine), Other: string(other), Clash: other != "", Counts: sideFrom}
		switch {
		case other == mine:
			mark.Counts = sideBoth
		case other == attendance.Present:
			mark.Counts = sideInto
		}
		p.Marks = append(p.Marks, mark)
	}
}
