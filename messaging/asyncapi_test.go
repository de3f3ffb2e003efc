package messaging_test

import (
	"encoding/json"
	"strings"
	"testing"

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
		messaging.TypeReply, "ack", "read", "narrow", "answer", "mark",
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
