package booking

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge/deploy/samples"
)

func validate(t *testing.T, text []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("catalogue.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("catalogue.json")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	// Through JSON, so that YAML's times become the strings they are in JSON.
	in, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(mustJSON(t, v))))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(in)
}

func TestSchemaAcceptsTheSample(t *testing.T) {
	if err := validate(t, samples.Lodge); err != nil {
		t.Error(err)
	}
	// And what is exported: of both formats, with all that the sample has not.
	for _, sample := range [][]byte{samples.Lodge, samples.Practable} {
		c := mustRead(t, sample)
		c.Overrides = map[string]Override{"o": {Subjects: []string{"dev:a"}, MaxBookings: new(int), MaxUsage: new(Duration), UISet: "plain"}}
		c.Roles = map[string]RoleBinding{"r": {Role: "viewer", Scope: "tenant", Claims: []ClaimRule{{"dev", "department", "physics"}}}}
		c.Windows["closed"], c.UISets["none"], c.Pools = Window{}, UISet{}, map[string]Pool{"empty": {}}
		c.Experiments["small"] = Experiment{TopicStub: "small", Streams: []Stream{{For: "data", Topic: "small-data", Scopes: []string{"read"}, MaxMessage: 1024}}}
		c.Experiments["off"] = Experiment{TopicStub: "off", State: &StateWish{Reason: "oiled"}}
		text, err := c.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

// The schema and the reader agree on what is wrong within an object.
func TestSchemaRefusesWhatTheReaderRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown map":      "lodge: v1\nrigs: {}\n",
		"unknown field":    "lodge: v1\nexperiments: {a: {colour: red}}\n",
		"bad duration":     "lodge: v1\npolicies: {a: {book_ahead: soon}}\n",
		"bad lookup":       "lodge: v1\npolicies: {a: {lookup: [see, own]}}\n",
		"bad role":         "lodge: v1\nroles: {a: {role: king, scope: tenant, subjects: ['dev:a']}}\n",
		"role for nobody":  "lodge: v1\nroles: {a: {role: viewer, scope: tenant}}\n",
		"bad scope":        "lodge: v1\nroles: {a: {role: viewer, scope: world, subjects: ['dev:a']}}\n",
		"half interval":    "lodge: v1\nwindows: {a: {allowed: [{start: '2026-01-01'}]}}\n",
		"name with spaces": "lodge: v1\nwindows: {'a b': {allowed: []}}\n",
		"bad topic":        "lodge: v1\nexperiments: {a: {streams: [{for: data, topic: 'a b'}]}}\n",
		"bad scopes":       "lodge: v1\nexperiments: {a: {streams: [{for: data, scopes: [own]}]}}\n",
		"tiny messages":    "lodge: v1\nexperiments: {a: {streams: [{for: data, max_message_bytes: 12}]}}\n",
		"huge messages":    "lodge: v1\nexperiments: {a: {streams: [{for: data, max_message_bytes: 67108865}]}}\n",
		"empty item":       "lodge: v1\nui_sets: {a: {uis: [null]}}\n",
	} {
		if validate(t, []byte(text)) == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
		if _, faults, err := read(t, text, false); err == nil || len(faults) == 0 || faults[0].Line == 0 {
			t.Errorf("%s: the reader says %v %v", name, err, faults)
		}
	}
}
