package handin

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// Retain drops hand-ins that were over before a time, with all work, files and
// grades, and returns how many. What it leaves of the list is stored without the
// entries it came from. Any number of nodes may do so at once, and again after one
// that failed half way.
func (d *Desk) Retain(ctx context.Context, tenant lodge.Tenant, before time.Time) (int, error) {
	var old []string
	book := d.index(tenant)
	err := book.View(ctx, func(x *index) {
		for id, one := range x.HandIns {
			if one.ended().Before(before) {
				old = append(old, id)
			}
		}
	})
	if err != nil {
		return 0, err
	}
	for i, id := range old {
		// It is on the list until nothing of it is left.
		if err := d.files.Remove(ctx, handinFolder(tenant, id)); err != nil {
			return i, err
		}
		if err := d.topics.Drop(ctx, tenant, topicOf(id)); err != nil {
			return i, err
		}
		err := book.Decide(ctx, func(x *index) ([]messaging.Message, error) {
			if x.HandIns[id] == nil {
				return nil, nil
			}
			return entry{Kind: kindDropped, HandIn: id}.messages()
		})
		if err != nil {
			return i, err
		}
	}
	return len(old), book.Compact(ctx)
}

// Erase removes the files of people, who are to have no keys any more: without
// those, what is sealed under them is gone wherever it is. It may be repeated.
func (d *Desk) Erase(ctx context.Context, tenant lodge.Tenant, people ...lodge.PersonID) error {
	var ids []string
	if err := d.index(tenant).View(ctx, func(x *index) {
		for id := range x.HandIns {
			ids = append(ids, id)
		}
	}); err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		for _, person := range people {
			errs = append(errs, d.files.Remove(ctx, personFolder(tenant, id, person)))
		}
	}
	return errors.Join(errs...)
}

// Sweep removes files that were begun before a time and belong to nobody's work:
// what an upload left behind that was cut off with its node. Every upload that began
// before then is to have ended. It returns how many.
func (d *Desk) Sweep(ctx context.Context, tenant lodge.Tenant, before time.Time) (int, error) {
	found := map[string][]string{} // by folder of the hand-in
	for name, err := range d.files.List(ctx, folderOf(tenant)) {
		if err != nil {
			return 0, err
		}
		made, err := madeAt(path.Base(name))
		if err == nil && made.Before(before) {
			folder := path.Dir(path.Dir(name))
			found[folder] = append(found[folder], name)
		}
	}
	if len(found) == 0 {
		return 0, nil
	}
	// What is named by now is looked at after the files: one that was committed and
	// named in between is not taken for an orphan.
	var ids []string
	if err := d.index(tenant).View(ctx, func(x *index) {
		for id := range x.HandIns {
			ids = append(ids, id)
		}
	}); err != nil {
		return 0, err
	}
	named := map[string]bool{}
	for _, id := range ids {
		if len(found[handinFolder(tenant, id)]) == 0 {
			continue
		}
		if err := d.with(ctx, tenant, id, func(p *messaging.Projection[state]) error {
			return p.View(ctx, func(s *state) {
				for person, w := range s.Work {
					for _, file := range w.Files {
						named[personFolder(tenant, id, person)+"/"+file] = true
					}
				}
			})
		}); err != nil && !errors.Is(err, errUnknown) {
			return 0, err
		}
	}
	swept := 0
	for _, names := range found {
		for _, name := range names {
			if named[name] && !strings.HasSuffix(name, PartSuffix) {
				continue
			}
			if err := d.files.Remove(ctx, name); err != nil {
				return swept, err
			}
			swept++
		}
	}
	return swept, nil
}

// A Handed is that a person handed something in, or was graded, as the log has it.
type Handed struct {
	HandIn string
	Title  string
	Person lodge.PersonID // by the id with which they did
	Files  int
}

// HandedInBy returns what those of the given ids handed in, or were graded for with
// nothing handed in, newest hand-in first, each id by itself whoever is merged.
func (d *Desk) HandedInBy(ctx context.Context, tenant lodge.Tenant, people []lodge.PersonID) ([]Handed, error) {
	all, err := d.List(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var out []Handed
	for _, one := range all {
		err := d.with(ctx, tenant, one.ID, func(p *messaging.Projection[state]) error {
			return p.View(ctx, func(s *state) {
				for _, person := range people {
					w, graded := s.Work[person], s.Grades[person] != nil
					if w == nil && !graded {
						continue
					}
					h := Handed{HandIn: one.ID, Title: one.Title, Person: person}
					if w != nil {
						h.Files = len(w.Files)
					}
					out = append(out, h)
				}
			})
		})
		if err != nil && !errors.Is(err, errUnknown) {
			return nil, err
		}
	}
	return out, nil
}
