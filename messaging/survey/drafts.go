package survey

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Limits of what is kept unopened.
const (
	maxDrafts = 200       // of one person, templates among them
	maxForm   = 128 << 10 // bytes of a draft as JSON
)

// A Saved is a draft that is kept: its author's own, or as a template everybody's
// who may open surveys.
type Saved struct {
	Draft
	By       lodge.PersonID `json:"by"`
	Template bool           `json:"template,omitempty"`
	Opens    time.Time      `json:"opens,omitzero"` // it opens by itself then; zero: it does not
	Changed  time.Time      `json:"changed"`
	Rev      int            `json:"rev"`               // grows by one with each change
	Problem  string         `json:"problem,omitempty"` // why it did not open when it was to
}

var errNoDraft = lodge.E(lodge.CodeNotFound, "There is no such draft.")

// Save keeps a draft, which may be unfinished unless it opens by itself. One with a
// Rev replaces that version of the draft with its ID, and is CodeConflict when
// another was saved since; one without is new. What is too large is CodeTooLarge.
func (d *Desk) Save(ctx context.Context, tenant lodge.Tenant, by lodge.PersonID, draft Saved) (Saved, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return Saved{}, err
	}
	now := d.clock.Now().UTC()
	draft.Draft = draft.tidy()
	if draft.ID == "" {
		draft.ID = newID()
	}
	draft.By, draft.Changed, draft.Problem = by, now, ""
	if err := draft.bounded(); err != nil {
		return Saved{}, err
	}
	if !draft.Opens.IsZero() {
		if draft.Template {
			return Saved{}, refuse("A template does not open by itself; make a survey of it first.")
		}
		if err := draft.plan(now); err != nil {
			return Saved{}, err
		}
	}
	var saved Saved
	err = d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		saved = draft
		before := x.Drafts[draft.ID]
		switch {
		case x.Surveys[draft.ID] != nil:
			return nil, lodge.E(lodge.CodeConflict, "That draft is open already; make a copy of it to change it.")
		case before == nil && draft.Rev > 0, before != nil && merged.Of(before.By) != merged.Of(by):
			return nil, errNoDraft
		case before != nil && draft.Rev == 0 && before.asksLike(draft.Draft) && before.Template == draft.Template && before.Opens.Equal(draft.Opens):
			saved = *before // the request again
			return nil, nil
		case before != nil && before.Rev != draft.Rev:
			return nil, lodge.E(lodge.CodeConflict, "This draft was changed elsewhere since you opened it; load it again.")
		case before == nil && x.drafts(merged, by) >= maxDrafts:
			return nil, refuse("You have %d drafts; delete some that you do not need any more.", maxDrafts)
		}
		saved.Rev++
		return entry{Kind: kindDrafted, Survey: saved.ID, At: now, Draft: &saved}.messages()
	})
	return saved, err
}

func newID() string { return strings.ToLower(rand.Text()) }

func (x *index) drafts(merged lodge.Merged, by lodge.PersonID) int {
	n := 0
	for _, one := range x.Drafts {
		if merged.Of(one.By) == merged.Of(by) {
			n++
		}
	}
	return n
}

// plan checks what opens by itself.
func (s Saved) plan(now time.Time) error {
	if !s.Opens.After(now) {
		return refuse("It is to open at a time that has passed; choose a later one, or open it now.")
	}
	_, err := s.entry("", s.Opens)
	return err
}

// bounded checks what is kept of an unfinished draft: that it is not too much.
func (s Saved) bounded() error {
	body, err := json.Marshal(s.Draft)
	switch {
	case err != nil:
		return refuse("A number in the survey is none; correct it.")
	case len(body) > maxForm || len(s.Questions) > maxQuestions:
		return lodge.E(lodge.CodeTooLarge, "The survey is too long: at most 50 questions and 128 KiB. Divide it.")
	case !isID(s.ID):
		return refuse("The survey's id must have at most %d letters, digits, - and _.", maxID)
	case s.To != "" && !isAudience(s.To):
		return refuse("Say whom the survey is for: all, group:…, experiment:…, booking:… or user:….")
	}
	return nil
}

// Drafts returns a person's drafts and the templates that anybody made, the last
// changed first.
func (d *Desk) Drafts(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]Saved, error) {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var all []Saved
	err = d.index(tenant).View(ctx, func(x *index) {
		for _, one := range x.Drafts {
			if one.Template || merged.Of(one.By) == merged.Of(person) {
				all = append(all, one.copied(merged))
			}
		}
	})
	slices.SortFunc(all, func(a, b Saved) int {
		if c := b.Changed.Compare(a.Changed); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, err
}

func (s *Saved) copied(merged lodge.Merged) Saved {
	one := *s
	one.By, one.Questions = merged.Of(s.By), clone(s.Questions)
	return one
}

// Draft returns one of a person's drafts, or a template that somebody made.
func (d *Desk) Draft(ctx context.Context, tenant lodge.Tenant, id string, person lodge.PersonID) (Saved, error) {
	all, err := d.Drafts(ctx, tenant, person)
	if err != nil {
		return Saved{}, err
	}
	for _, one := range all {
		if one.ID == id {
			return one, nil
		}
	}
	return Saved{}, errNoDraft
}

// Discard forgets a person's draft. It may be repeated.
func (d *Desk) Discard(ctx context.Context, tenant lodge.Tenant, id string, person lodge.PersonID) error {
	merged, err := d.people(ctx, tenant)
	if err != nil {
		return err
	}
	return d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		one := x.Drafts[id]
		if one == nil {
			return nil, nil
		}
		if merged.Of(one.By) != merged.Of(person) {
			return nil, errNoDraft
		}
		return entry{Kind: kindUndrafted, Survey: id}.messages()
	})
}

// Unplan notes why a draft did not open when it was to: it waits for its author.
func (d *Desk) Unplan(ctx context.Context, tenant lodge.Tenant, draft Saved, why string) error {
	return d.index(tenant).Decide(ctx, func(x *index) ([]messaging.Message, error) {
		one := x.Drafts[draft.ID]
		if one == nil || one.Rev != draft.Rev {
			return nil, nil
		}
		now := *one
		now.Opens, now.Problem = time.Time{}, why
		now.Rev++
		return entry{Kind: kindDrafted, Survey: now.ID, At: d.clock.Now().UTC(), Draft: &now}.messages()
	})
}
