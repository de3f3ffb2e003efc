package booking

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lodge-gateway/lodge"
)

// A snapshot is one revision of a tenant's catalogue, with what is derived from
// it. It is immutable.
type snapshot struct {
	revision uint64
	cat      *Catalogue
	open     map[string][]Interval // by window
	slots    map[string][]string   // by group, as SlotsOf returns them
	named    bool                  // an override is for a person
}

// snapshot returns the catalogue as the transaction sees it, from the cache when
// the revision is the cached one.
func (d *Desk) snapshot(tx Tx, t lodge.Tenant) (*snapshot, error) {
	revision, err := tx.Revision(t)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	cached := d.cached[t]
	d.mu.Unlock()
	if cached != nil && cached.revision == revision {
		return cached, nil
	}
	objects, err := tx.Objects(t)
	if err != nil {
		return nil, err
	}
	cat, err := assemble(objects)
	if err != nil {
		return nil, err
	}
	snap := newSnapshot(revision, cat)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cached[t] = snap
	return snap, nil
}

func newSnapshot(revision uint64, cat *Catalogue) *snapshot {
	snap := &snapshot{revision: revision, cat: cat, open: map[string][]Interval{}, slots: map[string][]string{}}
	for group := range cat.Groups {
		snap.slots[group] = cat.SlotsOf(group)
	}
	for name, w := range cat.Windows {
		snap.open[name] = w.open()
	}
	for _, o := range cat.Overrides {
		snap.named = snap.named || len(o.Subjects) > 0
	}
	return snap
}

// Catalogue returns the tenant's catalogue: empty when none was applied. It is
// shared and must not be changed.
func (d *Desk) Catalogue(ctx context.Context, t lodge.Tenant) (*Catalogue, error) {
	var snap *snapshot
	err := d.store.View(ctx, func(tx Tx) (err error) {
		snap, err = d.snapshot(tx, t)
		return err
	})
	if err != nil {
		return nil, outward(err)
	}
	return snap.cat, nil
}

// Apply stores a catalogue for a tenant that has none. The same catalogue again
// changes nothing; another one is refused, since it could touch bookings.
func (d *Desk) Apply(ctx context.Context, t lodge.Tenant, c Catalogue) error {
	if faults := c.Check(); len(faults) > 0 {
		e := lodge.E(lodge.CodeRefused, "The catalogue has faults: "+faults[0].String()+more(len(faults)-1)+".")
		e.Details = map[string]any{"faults": faults}
		return e
	}
	objects, err := c.objects()
	if err != nil {
		return lodge.Wrap(lodge.CodeInvalid, "The catalogue cannot be stored.", err)
	}
	return outward(d.store.Update(ctx, func(tx Tx) error {
		revision, err := tx.Revision(t)
		if err != nil {
			return err
		}
		if revision == 0 {
			return tx.ChangeObjects(t, objects, nil)
		}
		stored, err := tx.Objects(t)
		if err != nil {
			return err
		}
		if slices.EqualFunc(sortObjects(stored), sortObjects(objects), sameObject) {
			return nil
		}
		return lodge.E(lodge.CodeConflict, "This tenant has another catalogue already, and bookings may depend on it; a catalogue is applied to an empty store, or again as it is.")
	}))
}

func sameObject(a, b Object) bool {
	return a.Kind == b.Kind && a.Name == b.Name && bytes.Equal(a.Body, b.Body)
}

func sortObjects(list []Object) []Object {
	slices.SortFunc(list, func(a, b Object) int {
		if c := strings.Compare(a.Kind, b.Kind); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

// objects takes a catalogue apart, one object an entry of its maps.
func (c *Catalogue) objects() ([]Object, error) {
	stored := *c
	stored.Experiments = make(map[string]Experiment, len(c.Experiments))
	for name, e := range c.Experiments {
		e.State = nil // kept beside the catalogue
		stored.Experiments[name] = e
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("booking: encode the catalogue: %w", err)
	}
	var kinds map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &kinds); err != nil {
		return nil, fmt.Errorf("booking: take the catalogue apart: %w", err)
	}
	var out []Object
	for kind, entries := range kinds {
		for name, body := range entries {
			out = append(out, Object{Kind: kind, Name: name, Body: body})
		}
	}
	return out, nil
}

// assemble is the inverse of objects.
func assemble(objects []Object) (*Catalogue, error) {
	kinds := map[string]map[string]json.RawMessage{}
	for _, o := range objects {
		if kinds[o.Kind] == nil {
			kinds[o.Kind] = map[string]json.RawMessage{}
		}
		kinds[o.Kind][o.Name] = o.Body
	}
	data, err := json.Marshal(kinds)
	if err != nil {
		return nil, fmt.Errorf("booking: put the catalogue together: %w", err)
	}
	c := &Catalogue{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("booking: decode the catalogue: %w", err)
	}
	return c, nil
}
