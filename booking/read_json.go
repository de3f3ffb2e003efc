package booking

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"

	"go.yaml.in/yaml/v3"
)

// parseJSON turns JSON into the nodes that YAML is read into, so that faults in
// either have lines. YAML is nearly a superset of JSON, but not quite: escaped
// surrogate pairs and tabs differ. It reports false when data is not JSON.
func parseJSON(data []byte) (*yaml.Node, bool) {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) || !json.Valid(data) {
		return nil, false
	}
	p := jsonParser{dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber()
	for i, c := range data {
		if c == '\n' {
			p.newlines = append(p.newlines, int64(i))
		}
	}
	n, err := p.value()
	return n, err == nil
}

type jsonParser struct {
	dec      *json.Decoder
	newlines []int64 // offsets
}

// line returns the line of the token that was read last.
func (p *jsonParser) line() int {
	at := p.dec.InputOffset() - 1
	return 1 + sort.Search(len(p.newlines), func(i int) bool { return p.newlines[i] >= at })
}

// value reads one value. encoding/json bounds how deeply they nest.
func (p *jsonParser) value() (*yaml.Node, error) {
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: p.line()}
	switch t := token.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		if t == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		// Members of an object come as two values: the key and what it holds.
		for p.dec.More() {
			child, err := p.value()
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err := p.dec.Token() // the closing bracket
		return n, err
	case string:
		n.Tag, n.Value = "!!str", t
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
		if _, err := t.Int64(); err == nil {
			n.Tag = "!!int"
		}
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(t)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}
