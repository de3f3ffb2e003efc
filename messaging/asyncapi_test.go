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
		messaging.TypeNotice, messaging.TypeBooking, messaging.TypeSession, messaging.TypeSurvey, messaging.TypeRegister, messaging.TypeHandIn,
		messaging.TypeExperiment, messaging.TypeWaiting, messaging.TypeCatalogue, messaging.TypePresence, messaging.TypeReceipt, messaging.TypeGap, messaging.TypeCaughtUp,
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

// A notice is as it is described, with all that it may have and nothing else.
func TestAsyncAPIOfNotices(t *testing.T) {
	schemas, err := asyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data string
		good bool
	}{
		"the least":                 {`"to":"all"`, true},
		"all of a notice":           {`"to":"group:g","to_name":"group G","title":"T","by":"p1","expires":"2026-05-04T09:00:00Z","replies":true`, true},
		"a reply":                   {`"to":"instructors:g","to_name":"instructors of G","by":"p1","in_reply_to":"m1","about":"T"`, true},
		"replies by everybody":      {`"to":"all","replies":true`, false},
		"a reply to everybody":      {`"to":"all","in_reply_to":"m1","about":"T"`, false},
		"a reply to something":      {`"to":"instructors:g","in_reply_to":"m1"`, false},
		"instructors, unreplied":    {`"to":"instructors:g"`, false},
		"an end that is no time":    {`"to":"all","expires":"soon"`, false},
		"replies that are not":      {`"to":"group:g","replies":false`, false},
		"what is not described":     {`"to":"all","colour":"red"`, false},
		"nobody it is addressed to": {`"title":"T"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"specversion":"1.0","id":"1","type":"lodge.notice","source":"/lodge","time":"2026-05-04T08:00:00Z",
				"datacontenttype":"application/json","lodgetopic":"all","lodgepos":"` + strings.Repeat("A", 32) + `","data":{"text":"x","priority":"info","from":"Grace",` + c.data + `}}`))
			if err != nil {
				t.Fatal(err)
			}
			if err := schemas["lodge.notice"].Validate(v); (err == nil) != c.good {
				t.Error(err)
			}
		})
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
