package booking

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A reader takes the nodes of a file apart. It notes where everything stands, so
// that faults found later have lines too.
type reader struct {
	lines  map[string]int // by path: slots, slots.sl-a, slots.sl-a.policy
	faults []Fault
}

// line returns the line of the first path that was seen.
func (rd *reader) line(paths ...string) int {
	for _, p := range paths {
		if l := rd.lines[p]; l > 0 {
			return l
		}
	}
	return 0
}

func (rd *reader) fault(line int, object, format string, args ...any) {
	rd.faults = append(rd.faults, Fault{line, object, fmt.Sprintf(format, args...)})
}

// An object is a mapping that is being read: each getter takes its field out, so
// that what is left in the end is unknown.
type object struct {
	rd     *reader
	path   string
	line   int
	keys   []string // in the file's order
	fields map[string]*yaml.Node
}

// object opens a mapping. Of a repeated key the first counts.
func (rd *reader) object(path string, n *yaml.Node) *object {
	n = resolve(n)
	o := &object{rd: rd, path: path, line: n.Line, fields: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		if !null(n) {
			rd.fault(n.Line, path, "is not a mapping")
		}
		return o
	}
	o.add(n, false)
	return o
}

func (o *object) add(n *yaml.Node, merged bool) {
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			if !merged { // a merged mapping's own merges are not followed: they could go in circles
				merges = append(merges, resolve(value))
			}
			continue
		}
		if _, twice := o.fields[key.Value]; twice {
			if !merged {
				o.rd.fault(key.Line, join(o.path, key.Value), "is there twice")
			}
			continue
		}
		o.keys = append(o.keys, key.Value)
		o.fields[key.Value] = value
		o.rd.lines[join(o.path, key.Value)] = key.Line
	}
	for _, m := range merges {
		switch m.Kind {
		case yaml.MappingNode:
			o.add(m, true)
		case yaml.SequenceNode:
			for _, item := range m.Content {
				if item = resolve(item); item.Kind == yaml.MappingNode {
					o.add(item, true)
				}
			}
		}
	}
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// take removes a field and returns it; nil when it is absent or null.
func (o *object) take(field string) *yaml.Node {
	n, ok := o.fields[field]
	if !ok {
		return nil
	}
	delete(o.fields, field)
	if n = resolve(n); null(n) {
		return nil
	}
	return n
}

// scalar takes a field that is a single value.
func (o *object) scalar(field string) (string, bool) {
	n := o.take(field)
	if n == nil {
		return "", false
	}
	if n.Kind != yaml.ScalarNode {
		o.fault(field, "%s is not a single value", field)
		return "", false
	}
	return strings.TrimSpace(n.Value), true
}

func (o *object) fault(field, format string, args ...any) {
	o.rd.fault(o.rd.line(join(o.path, field), o.path), o.path, format, args...)
}

func (o *object) str(field string) string {
	s, _ := o.scalar(field)
	return s
}

func (o *object) integer(field string) (int, bool) {
	s, ok := o.scalar(field)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		o.fault(field, "%s is %q, not a whole number", field, s)
	}
	return n, err == nil
}

func (o *object) boolean(field string) bool {
	s, ok := o.scalar(field)
	if !ok {
		return false
	}
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	}
	o.fault(field, "%s is %q, neither true nor false", field, s)
	return false
}

func (o *object) duration(field string) *Duration {
	s, ok := o.scalar(field)
	if !ok {
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		o.fault(field, "%s is %q, not a duration such as 5m or 1h30m", field, s)
		return nil
	}
	return (*Duration)(&d)
}

// durations takes a list of durations; nil when there is none.
func (o *object) durations(field string) *[]Duration {
	n := o.take(field)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		o.fault(field, "%s is not a list", field)
		return nil
	}
	list := []Duration{}
	for _, item := range n.Content {
		item = resolve(item)
		d, err := time.ParseDuration(strings.TrimSpace(item.Value))
		if item.Kind != yaml.ScalarNode || err != nil {
			o.rd.fault(item.Line, o.path, "an item of %s is not a duration such as 15m or 24h", field)
			continue
		}
		list = append(list, Duration(d))
	}
	return &list
}

// strings takes a list of names. Empty items are named and left out.
func (o *object) strings(field string) []string {
	n := o.take(field)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		o.fault(field, "%s is not a list", field)
		return nil
	}
	var list []string
	for _, item := range n.Content {
		item = resolve(item)
		switch value := strings.TrimSpace(item.Value); {
		case item.Kind != yaml.ScalarNode:
			o.rd.fault(item.Line, o.path, "an item of %s is not a name", field)
		case value == "" || null(item):
			o.rd.fault(item.Line, o.path, "an item of %s is empty", field)
		default:
			list = append(list, value)
		}
	}
	return list
}

// stringsIf is strings for a field that says something else when it is absent than
// when its list is empty.
func (o *object) stringsIf(field string) *[]string {
	if n, ok := o.fields[field]; !ok || null(resolve(n)) {
		o.take(field)
		return nil
	}
	list := o.strings(field)
	if list == nil {
		list = []string{}
	}
	return &list
}

// objects takes a list of mappings.
func (o *object) objects(field string) []*object {
	n := o.take(field)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		o.fault(field, "%s is not a list", field)
		return nil
	}
	var list []*object
	for i, item := range n.Content {
		item = resolve(item)
		if null(item) {
			o.rd.fault(item.Line, o.path, "an item of %s is empty", field)
			continue
		}
		list = append(list, o.rd.object(fmt.Sprintf("%s.%s[%d]", o.path, field, i), item))
	}
	return list
}

// done names the fields that nobody took.
func (o *object) done() {
	for _, key := range o.keys {
		if _, left := o.fields[key]; left {
			o.fault(key, "%s is not a field that is known here", key)
		}
	}
}

// each reads the entries of a map of objects.
func each[V any](top *object, kind string, read func(name string, o *object) V) map[string]V {
	n := top.take(kind)
	if n == nil {
		return nil
	}
	m := map[string]V{}
	entries := top.rd.object(kind, n)
	for _, name := range entries.keys {
		o := top.rd.object(join(kind, name), entries.fields[name])
		m[name] = read(name, o)
		o.done()
	}
	return m
}

// interval reads {start, end}; a half one is named and left out.
func (o *object) interval() (Interval, bool) {
	defer o.done()
	start, okStart := o.moment("start")
	end, okEnd := o.moment("end")
	return Interval{start, end}, okStart && okEnd
}

func (o *object) moment(field string) (time.Time, bool) {
	s, ok := o.scalar(field)
	if !ok {
		o.rd.fault(o.line, o.path, "an interval has no %s", field)
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	o.fault(field, "%s is %q, not a time such as 2026-09-01T08:00:00Z", field, s)
	return time.Time{}, false
}

func (o *object) intervals(field string) []Interval {
	var list []Interval
	for _, item := range o.objects(field) {
		if i, ok := item.interval(); ok {
			list = append(list, i)
		}
	}
	return list
}
