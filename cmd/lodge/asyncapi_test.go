package main

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// documented holds the schemas of the events that the running server's own
// AsyncAPI document promises, by event type.
type documented map[string]*jsonschema.Schema

// asyncAPI reads the document from the server under test.
func (v *visitor) asyncAPI() documented {
	v.t.Helper()
	status, raw := v.do("GET", "/api/asyncapi.yaml", nil)
	if status != 200 {
		v.t.Fatalf("asyncapi.yaml: %d", status)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		v.t.Fatal(err)
	}
	asJSON, err := json.Marshal(doc)
	if err != nil {
		v.t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		v.t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource("asyncapi.json", parsed); err != nil {
		v.t.Fatal(err)
	}
	components, _ := doc["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	out := documented{}
	for name := range schemas {
		if out[name], err = compiler.Compile("asyncapi.json#/components/schemas/" + name); err != nil {
			v.t.Fatal(err)
		}
	}
	return out
}

// faults collects frames that the document does not allow, from the goroutines
// that read sockets.
type faults struct {
	mu    sync.Mutex
	found []string // guarded by mu
}

func (f *faults) check(schemas documented, typ string, frame []byte) {
	schema, known := schemas[typ]
	if !known {
		f.add("no schema for " + typ)
		return
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(frame))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		f.add(string(frame) + ": " + err.Error())
	}
}

func (f *faults) add(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = append(f.found, what)
}
