package survey

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// said is what a person says in a survey.
type said struct {
	Name    string            `json:"name,omitempty"`
	Answers map[string]Answer `json:"answers,omitempty"`
}

// about is what an answer is bound to beside its person's key.
func about(survey string) string { return "survey:" + survey }

func (s said) seal(key []byte, survey string) ([]byte, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return messaging.SealPersonal(key, about(survey), plain)
}

// errErased answers somebody whose key is gone.
var errErased = lodge.Wrap(lodge.CodeForbidden, "This person was erased here and can answer nothing any more.", messaging.ErrErased)

// keyOf returns the key that a person's answers are sealed under.
func (d *Desk) keyOf(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]byte, error) {
	key, err := d.keys.Key(ctx, tenant, person)
	if errors.Is(err, messaging.ErrErased) {
		return nil, errErased
	}
	return key, err
}

// author is who gave a response, whoever they count as.
func (r *response) author() lodge.PersonID {
	if r.by != "" {
		return r.by
	}
	return r.Person
}

// opened returns a response with what was said. It says nothing when the person's
// key is not there, or does not open it.
func (r *response) opened(survey string, keys map[lodge.PersonID][]byte) *response {
	if len(r.Sealed) == 0 {
		return r
	}
	open := *r
	open.said = said{}
	key := keys[r.author()]
	if key == nil {
		return &open
	}
	plain, err := messaging.OpenPersonal(key, about(survey), r.Sealed)
	if err != nil || json.Unmarshal(plain, &open.said) != nil {
		open.said = said{}
	}
	return &open
}

// apart returns a state that later entries do not change.
func (s *state) apart() *state {
	one := *s
	one.Responses, one.Counted = apart(s.Responses), apart(s.Counted)
	one.Shown = maps.Clone(s.Shown)
	return &one
}

func apart(all map[lodge.PersonID]*response) map[lodge.PersonID]*response {
	copied := make(map[lodge.PersonID]*response, len(all))
	for person, r := range all {
		kept := *r
		copied[person] = &kept
	}
	return copied
}

// open opens the responses of a state that nobody else has: those of the given
// people, or all.
func (d *Desk) open(ctx context.Context, tenant lodge.Tenant, s *state, people ...lodge.PersonID) error {
	if len(people) == 0 {
		for person := range maps.Keys(s.Responses) {
			people = append(people, person)
		}
	}
	var authors []lodge.PersonID
	for _, all := range []map[lodge.PersonID]*response{s.Responses, s.Counted} {
		for _, person := range people {
			if r := all[person]; r != nil && len(r.Sealed) > 0 {
				authors = append(authors, r.author())
			}
		}
	}
	if len(authors) == 0 {
		return nil
	}
	slices.Sort(authors)
	keys, err := d.keys.Keys(ctx, tenant, slices.Compact(authors))
	if err != nil {
		return err
	}
	for _, all := range []map[lodge.PersonID]*response{s.Responses, s.Counted} {
		for _, person := range people {
			if r := all[person]; r != nil {
				all[person] = r.opened(s.ID, keys)
			}
		}
	}
	return nil
}
