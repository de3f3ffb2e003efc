package booking

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge"
)

// Manifest writes a catalogue as a file in Lodge's format, which ReadChange reads
// back as it was.
func (c *Catalogue) Manifest() ([]byte, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("booking: encode the catalogue: %w", err)
	}
	root, ok := parseJSON(data)
	if !ok {
		return nil, errors.New("booking: the encoded catalogue cannot be read")
	}
	for _, n := range root.Content {
		noNulls(n)
	}
	root.Content = append([]*yaml.Node{
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: "lodge"}, {Kind: yaml.ScalarNode, Tag: "!!str", Value: "v1"},
	}, root.Content...)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(root), enc.Close()); err != nil {
		return nil, fmt.Errorf("booking: write the catalogue: %w", err)
	}
	return out.Bytes(), nil
}

// noNulls writes lists that are nil as empty ones: nothing else of a catalogue is
// null.
func noNulls(n *yaml.Node) {
	if null(n) {
		*n = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	}
	for _, child := range n.Content {
		noNulls(child)
	}
}

// Export returns the tenant's catalogue as Manifest writes it, with the state of
// the experiments that are off-line, and its revision; only says which objects are
// wanted, nil all of them.
func (d *Desk) Export(ctx context.Context, t lodge.Tenant, only func(*Catalogue, ObjectID) bool) (Catalogue, uint64, error) {
	var out Catalogue
	var revision uint64
	err := d.store.View(ctx, func(tx Tx) error {
		snap, err := d.snapshot(tx, t)
		if err != nil {
			return err
		}
		out, revision = *snap.cat, snap.revision
		if only != nil {
			if out, err = snap.cat.part(only); err != nil {
				return err
			}
		}
		out.Experiments = maps.Clone(out.Experiments)
		for name, e := range out.Experiments {
			state, err := stateOf(tx, t, name)
			if err != nil {
				return err
			}
			if !state.Online {
				e.State = &StateWish{Reason: state.Reason}
				out.Experiments[name] = e
			}
		}
		return nil
	})
	return out, revision, outward(err)
}

// part is the catalogue with some of its objects.
func (c *Catalogue) part(only func(*Catalogue, ObjectID) bool) (Catalogue, error) {
	objects, err := c.objects()
	if err != nil {
		return Catalogue{}, err
	}
	var kept []Object
	for _, o := range objects {
		if only(c, o.ID()) {
			kept = append(kept, o)
		}
	}
	part, err := assemble(kept)
	if err != nil {
		return Catalogue{}, err
	}
	return *part, nil
}
