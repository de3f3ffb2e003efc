package booking

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Change is what a file, or a page, asks of a catalogue. Objects that it does
// not name stay as they are: nothing goes by being left out, unless Prune says
// so.
type Change struct {
	Put    Catalogue  // objects to add, or to put in place of those of the same name
	Remove []ObjectID // objects to take out
	// Prune takes out every object that Put leaves out, of the kinds that it has.
	Prune bool

	lines   map[string]int // where the file has its objects, by path; see reader
	lenient bool           // leave out what is not sound beside what is there
}

// An Action is what happens to an object.
type Action string

// The actions.
const (
	Add    Action = "add"
	Alter  Action = "change"
	Remove Action = "remove"
)

// An Op is what a change does to one object.
type Op struct {
	Object ObjectID      `json:"object"`
	Action Action        `json:"action"`
	Fields []FieldChange `json:"fields,omitempty"` // what differs; of Alter alone
}

// A FieldChange is a field of an object before and after; null: absent.
type FieldChange struct {
	Field  string          `json:"field"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

// kinds are the maps of a catalogue, in the order of files.
var kinds = []string{
	"descriptions", "experiments", "pools", "windows", "guides", "uis", "ui_sets", "policies", "slots", "groups", "overrides", "roles",
}

func knownKind(kind string) bool { return slices.Contains(kinds, kind) }

// stateField is where a manifest says whether an experiment is in service. It is
// no part of the stored object.
const stateField = "state"

// A weighed change is a change beside what is there, with what would come of it.
type weighed struct {
	before, after *snapshot
	ops           []Op
	leftOut       []Fault // of the change, since it was read leniently
	put           []Object
	remove        []ObjectID
	states        map[string]ExperimentState // to set, by experiment
}

// weigh compares a change with what is stored. It refuses what would leave the
// catalogue with faults.
func (d *Desk) weigh(tx Tx, t lodge.Tenant, ch Change, by string, now time.Time) (*weighed, error) {
	before, err := d.snapshot(tx, t)
	if err != nil {
		return nil, err
	}
	stored, err := tx.Objects(t)
	if err != nil {
		return nil, err
	}
	w := &weighed{before: before, states: map[string]ExperimentState{}}
	put, err := w.sound(ch)
	if err != nil {
		return nil, err
	}
	wanted, err := put.objects()
	if err != nil {
		return nil, lodge.Wrap(lodge.CodeInvalid, "The catalogue cannot be stored.", err)
	}
	result := map[ObjectID]Object{}
	for _, o := range stored {
		result[o.ID()] = o
	}
	ops := map[ObjectID]*Op{}
	if err := w.takeOut(result, ops, ch, wanted); err != nil {
		return nil, err
	}
	for _, o := range wanted {
		old, there := result[o.ID()]
		switch {
		case !there:
			ops[o.ID()] = &Op{Object: o.ID(), Action: Add}
		case !bytes.Equal(old.Body, o.Body):
			ops[o.ID()] = &Op{Object: o.ID(), Action: Alter, Fields: fieldChanges(old.Body, o.Body)}
		default:
			continue
		}
		w.put = append(w.put, o)
		result[o.ID()] = o
	}
	if err := w.weighStates(tx, t, ops, put, by, now); err != nil {
		return nil, err
	}
	cat, err := assemble(slices.Collect(maps.Values(result)))
	if err != nil {
		return nil, err
	}
	if faults := cat.check(ch.lines); len(faults) > 0 {
		return nil, faulty(faults)
	}
	w.after = newSnapshot(before.revision, cat)
	for _, op := range ops {
		w.ops = append(w.ops, *op)
	}
	slices.SortFunc(w.ops, func(a, b Op) int { return compareIDs(a.Object, b.Object) })
	slices.SortFunc(w.put, func(a, b Object) int { return compareIDs(a.ID(), b.ID()) })
	slices.SortFunc(w.remove, compareIDs)
	return w, nil
}

func faulty(faults []Fault) error {
	e := lodge.E(lodge.CodeRefused, "The catalogue would have faults: "+faults[0].String()+more(len(faults)-1)+".")
	e.Details = map[string]any{"faults": faults}
	return e
}

// sound checks what a change puts beside what is there. Of one that was read
// leniently it returns the sound part.
func (w *weighed) sound(ch Change) (Catalogue, error) {
	put := ch.Put.clone()
	k := checker{
		c: &put, line: (&reader{lines: ch.lines}).line, prune: ch.lenient,
		elsewhere: func(kind, name string) bool {
			id := ObjectID{kind, name}
			return w.before.cat.has(id) && !slices.Contains(ch.Remove, id)
		},
	}
	k.check()
	if len(k.faults) > 0 && !ch.lenient {
		return put, faulty(k.faults)
	}
	w.leftOut = k.faults
	return put, nil
}

// takeOut removes from result what a change removes.
func (w *weighed) takeOut(result map[ObjectID]Object, ops map[ObjectID]*Op, ch Change, wanted []Object) error {
	put, held := map[ObjectID]bool{}, map[string]bool{}
	for _, o := range wanted {
		put[o.ID()], held[o.Kind] = true, true
	}
	out := slices.Clone(ch.Remove)
	if ch.Prune {
		for id := range result {
			if held[id.Kind] && !put[id] {
				out = append(out, id)
			}
		}
	}
	for _, id := range out {
		switch {
		case put[id]:
			return refuse("remove", id.String(), "The change both puts and removes "+id.String()+"; do one of them.").problem(nil)
		case ops[id] != nil:
			continue // named twice
		}
		if _, there := result[id]; !there {
			continue // gone already: a file that removes can be applied again
		}
		delete(result, id)
		ops[id] = &Op{Object: id, Action: Remove}
		w.remove = append(w.remove, id)
	}
	return nil
}

// weighStates notes which experiments go off-line or come back.
func (w *weighed) weighStates(tx Tx, t lodge.Tenant, ops map[ObjectID]*Op, put Catalogue, by string, now time.Time) error {
	for _, name := range sortedKeys(put.Experiments) {
		wish := put.Experiments[name].State
		if wish == nil {
			continue
		}
		is, err := stateOf(tx, t, name)
		if err != nil {
			return err
		}
		if is.Online == wish.Online && (wish.Online || is.Reason == wish.Reason) {
			continue
		}
		w.states[name] = ExperimentState{Experiment: name, Online: wish.Online, Reason: wish.Reason, By: by, Since: now}
		id := ObjectID{"experiments", name}
		if ops[id] == nil {
			ops[id] = &Op{Object: id, Action: Alter}
		}
		if ops[id].Action == Alter {
			ops[id].Fields = append(ops[id].Fields, FieldChange{
				stateField, raw(StateWish{is.Online, is.Reason}), raw(*wish),
			})
		}
	}
	return nil
}

func raw(v any) json.RawMessage {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs can always be encoded
	}
	return body
}

// fieldChanges compares two objects field by field.
func fieldChanges(before, after []byte) []FieldChange {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(before, &a) != nil || json.Unmarshal(after, &b) != nil {
		return nil // not the case of what objects made
	}
	fields := map[string]bool{}
	for f := range a {
		fields[f] = true
	}
	for f := range b {
		fields[f] = true
	}
	var out []FieldChange
	for _, f := range sortedKeys(fields) {
		if !bytes.Equal(a[f], b[f]) {
			out = append(out, FieldChange{f, a[f], b[f]})
		}
	}
	return out
}

// MarshalJSON writes an absent value as null.
func (f FieldChange) MarshalJSON() ([]byte, error) {
	null := func(r json.RawMessage) json.RawMessage {
		if r == nil {
			return json.RawMessage("null")
		}
		return r
	}
	return json.Marshal(struct {
		Field  string          `json:"field"`
		Before json.RawMessage `json:"before"`
		After  json.RawMessage `json:"after"`
	}{f.Field, null(f.Before), null(f.After)})
}

func compareIDs(a, b ObjectID) int {
	if a.Kind != b.Kind {
		return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
	}
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	}
	return 0
}
