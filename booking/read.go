package booking

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxManifest bounds a catalogue file; real ones are below 1 MiB.
const maxManifest = 16 << 20

// ReadManifest reads a catalogue from a practable manifest or from Lodge's own
// format (a mapping that says `lodge: v1`), in YAML or JSON. name is the file's,
// for messages.
//
// What is wrong is returned as faults, each with its line. Unless lenient is set
// any fault is an error. With it the sound part is returned: unsound objects are
// left out, with what cannot do without them, and so are references that lead
// nowhere. Text that is neither YAML nor JSON, or no catalogue, is always an error.
//
// A file in Lodge's format may hold a part of a catalogue. References to a kind of
// object that the file does not have at all are not checked here, but by Apply.
func ReadManifest(r io.Reader, name string, lenient bool) (Catalogue, []Fault, error) {
	ch, faults, err := readFile(r, name, lenient, true)
	if err == nil && len(ch.Remove) > 0 {
		return Catalogue{}, faults, fmt.Errorf("%s: it removes objects; a catalogue to begin with has nothing to remove", name)
	}
	return ch.Put, faults, err
}

// ReadChange is ReadManifest for a file that changes a catalogue. In Lodge's
// format `remove` lists, by kind, the names of objects to take out; references to
// objects that the file does not have are checked when it is applied, against what
// is there then.
func ReadChange(r io.Reader, name string, lenient bool) (Change, []Fault, error) {
	return readFile(r, name, lenient, false)
}

// readFile reads a file; whole says that what it refers to must be in it, if
// anything of that kind is.
func readFile(r io.Reader, name string, lenient, whole bool) (Change, []Fault, error) {
	fail := func(faults []Fault, err error) (Change, []Fault, error) { return Change{}, faults, err }
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return fail(nil, fmt.Errorf("%s: %w", name, err))
	}
	if len(data) > maxManifest {
		return fail(nil, fmt.Errorf("%s: larger than 16 MiB", name))
	}
	root, err := parse(data)
	if err != nil {
		return fail(nil, fmt.Errorf("%s: %w", name, err))
	}
	rd := &reader{lines: map[string]int{}}
	ch := Change{lines: rd.lines, lenient: lenient}
	c := &ch.Put
	k := &checker{c: c, line: rd.line, prune: lenient}
	top := rd.object("", root)
	if format, ok := top.fields["lodge"]; ok {
		if format.Value != "v1" {
			return fail(nil, fmt.Errorf("%s:%d: this format is %q; this version reads lodge: v1", name, format.Line, format.Value))
		}
		delete(top.fields, "lodge")
		k.elsewhere = func(kind, _ string) bool { return !whole || rd.lines[kind] == 0 }
		ch.Remove = rd.removals(top)
		*c = rd.lodge(top)
	} else {
		k.elsewhere = nowhere
		k.words = practableWords
		*c = rd.practable(top)
	}
	k.faults = rd.faults
	k.check()
	slices.SortStableFunc(k.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	if len(k.faults) > 0 && !lenient {
		f := k.faults[0]
		return fail(k.faults, fmt.Errorf("%s:%d: %s: %s%s", name, f.Line, f.Object, f.Message, more(len(k.faults)-1)))
	}
	if c.empty() && len(ch.Remove) == 0 {
		return fail(k.faults, fmt.Errorf("%s: neither a practable manifest nor a catalogue of Lodge's: no object in it can be used", name))
	}
	return ch, k.faults, nil
}

// parse returns the mapping that a file holds.
func parse(data []byte) (*yaml.Node, error) {
	if node, ok := parseJSON(data); ok {
		return mapping(node)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, errors.New("the file is empty")
	}
	return mapping(doc.Content[0])
}

func mapping(n *yaml.Node) (*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: a catalogue is a mapping of names to objects", n.Line)
	}
	return n, nil
}
