package messaging_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge/messaging"
)

func TestAsyncAPIDescribesEverything(t *testing.T) {
	schemas, err := asyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		messaging.TypeNotice, messaging.TypeBooking, messaging.TypeSession, messaging.TypeSurvey, messaging.TypeRegister,
		messaging.TypeExperiment, messaging.TypePresence, messaging.TypeReceipt, messaging.TypeGap, messaging.TypeCaughtUp,
		messaging.TypeReply, messaging.TypeReconnect, "ack", "read", "narrow", "answer", "mark",
	} {
		if schemas[name] == nil {
			t.Errorf("%s is not described", name)
		}
	}
	for _, frame := range []string{`{"type":"narrow","topics":["all"]}`, `{"type":"mark","id":"1","data":{"register":"r"}}`} {
		var f struct{ Type string }
		if err := json.Unmarshal([]byte(frame), &f); err != nil {
			t.Fatal(err)
		}
		conforms(t, f.Type, []byte(frame))
	}
}

// Every reference of the document leads somewhere, and every message is used.
func TestAsyncAPIReferencesResolve(t *testing.T) {
	var doc map[string]any
	if err := yaml.Unmarshal(messaging.AsyncAPI, &doc); err != nil {
		t.Fatal(err)
	}
	if doc["asyncapi"] != "3.0.0" {
		t.Errorf("version %v", doc["asyncapi"])
	}
	used := make(map[string]bool)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				var at any = doc
				for _, key := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[key]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(doc)
	for name := range doc["components"].(map[string]any)["messages"].(map[string]any) {
		if !used["#/components/messages/"+name] {
			t.Errorf("message %s is in no channel", name)
		}
	}
	for name := range doc["channels"].(map[string]any)["messages"].(map[string]any)["messages"].(map[string]any) {
		if !used["#/channels/messages/messages/"+name] {
			t.Errorf("message %s is in no operation", name)
		}
	}
}

var asyncAPI = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(messaging.AsyncAPI, &doc); err != nil {
		return nil, err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource("asyncapi.json", parsed); err != nil {
		return nil, err
	}
	schemas := make(map[string]*jsonschema.Schema)
	for name := range doc["components"].(map[string]any)["schemas"].(map[string]any) {
		if schemas[name], err = compiler.Compile("asyncapi.json#/components/schemas/" + name); err != nil {
			return nil, err
		}
	}
	return schemas, nil
})

// documented checks a frame of the hub against asyncapi.yaml.
func documented(t testing.TB, b []byte) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	conforms(t, e.Type, b)
	return e
}

func conforms(t testing.TB, schema string, b []byte) {
	t.Helper()
	schemas, err := asyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := schemas[schema]
	if !ok {
		t.Fatalf("%q is not documented: %s", schema, b)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Fatalf("%s\n%v", b, err)
	}
}
