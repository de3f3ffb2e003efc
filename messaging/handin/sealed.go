package handin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// contents is what a person's work consists of.
type contents struct {
	Name    string `json:"name,omitempty"`
	Surname string `json:"surname,omitempty"`
	SHA256  string `json:"sha256"`
	Text    *File  `json:"text,omitempty"`
	Files   []File `json:"files,omitempty"`
}

// opinion is what a grade says.
type opinion struct {
	Points float64 `json:"points"`
	Words  string  `json:"words,omitempty"`
}

// What is sealed under a person's key is bound to what it is of, too.
func aboutWork(id string) string    { return "hand-in:" + id }
func aboutReceipt(id string) string { return "hand-in receipt:" + id }
func aboutGrade(id string) string   { return "hand-in grade:" + id }

func seal(key []byte, about string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return messaging.SealPersonal(key, about, plain)
}

// unseal reports whether v was opened: not without the key, nor with another.
func unseal(key []byte, about string, sealed []byte, v any) bool {
	if key == nil {
		return false
	}
	plain, err := messaging.OpenPersonal(key, about, sealed)
	return err == nil && json.Unmarshal(plain, v) == nil
}

// errErased answers somebody whose key is gone.
var errErased = lodge.Wrap(lodge.CodeForbidden, "This person was erased here; nothing can be handed in or graded for them any more.", messaging.ErrErased)

// keyOf returns the key that what a person hands in is sealed under.
func (d *Desk) keyOf(ctx context.Context, tenant lodge.Tenant, person lodge.PersonID) ([]byte, error) {
	key, err := d.keys.Key(ctx, tenant, person)
	if errors.Is(err, messaging.ErrErased) {
		return nil, errErased
	}
	return key, err
}

// open returns the work of some people, or of all, of a state with people as whom
// they count; by name. Whoever only has a grade is among them.
func (d *Desk) open(ctx context.Context, tenant lodge.Tenant, s *state, people ...lodge.PersonID) ([]Work, error) {
	if len(people) == 0 {
		all := map[lodge.PersonID]bool{}
		for person := range s.Work {
			all[person] = true
		}
		for person := range s.Grades {
			all[person] = true
		}
		people = slices.Sorted(maps.Keys(all))
	}
	var authors []lodge.PersonID
	for _, person := range people {
		if w := s.Work[person]; w != nil {
			authors = append(authors, w.by)
		}
		if g := s.Grades[person]; g != nil {
			authors = append(authors, g.person)
		}
	}
	if len(authors) == 0 {
		return nil, nil
	}
	slices.Sort(authors)
	keys, err := d.keys.Keys(ctx, tenant, slices.Compact(authors))
	if err != nil {
		return nil, err
	}
	h := s.view()
	var out []Work
	for _, person := range people {
		w, g := s.Work[person], s.Grades[person]
		if w == nil && g == nil {
			continue
		}
		out = append(out, opened(h, person, w, g, keys))
	}
	slices.SortStableFunc(out, func(a, b Work) int {
		if c := strings.Compare(strings.ToLower(a.Surname+"\x00"+a.Name), strings.ToLower(b.Surname+"\x00"+b.Name)); c != 0 {
			return c
		}
		return strings.Compare(string(a.Person), string(b.Person))
	})
	return out, nil
}

// opened is one person's work and grade, as far as their keys open them.
func opened(h HandIn, person lodge.PersonID, w *work, g *graded, keys map[lodge.PersonID][]byte) Work {
	one := Work{Person: person}
	if w != nil {
		one.Version, one.At, one.DaysLate, one.author = w.Version, w.At, h.DaysLate(w.At), w.by
		var c contents
		if unseal(keys[w.by], aboutWork(h.ID), w.Sealed, &c) {
			one.Name, one.Surname, one.SHA256, one.Text, one.Files = c.Name, c.Surname, c.SHA256, c.Text, c.Files
		} else {
			one.Erased = true
		}
	}
	if g != nil {
		var o opinion
		if unseal(keys[g.person], aboutGrade(h.ID), g.Sealed, &o) {
			one.Grade = &Grade{Points: o.Points, Counted: h.Counted(o.Points, one.At), Words: o.Words, At: g.At, By: g.By, Version: g.Version}
		}
	}
	return one
}
