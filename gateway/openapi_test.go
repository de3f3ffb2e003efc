package gateway_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
)

// The router and the document list the same operations.
func TestOpenAPIAndRouterAgree(t *testing.T) {
	d, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	routed := map[string]bool{}
	err = chi.Walk(l.gateway.Routes(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !machines(route) || method == http.MethodOptions {
			return nil
		}
		// These take every method themselves and answer the wrong ones.
		takes := map[string][]string{"/session/*": {"POST", "GET", "DELETE"}, "/bids/deny": {"POST", "GET"}, "/bids/allow": {"POST", "GET"}}
		if methods, all := takes[route]; all && !slices.Contains(methods, method) {
			return nil
		}
		routed[method+" "+strings.Replace(route, "*", "{topic}", 1)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, op := range d.operations {
		documented[op.method+" "+op.path] = true
	}
	for _, op := range slices.Sorted(maps.Keys(routed)) {
		if !documented[op] {
			t.Errorf("%s is served and not documented in openapi.yaml", op)
		}
	}
	for _, op := range slices.Sorted(maps.Keys(documented)) {
		if !routed[op] {
			t.Errorf("%s is documented and not served", op)
		}
	}
}

// Every reference leads somewhere, every component is used, every operation has a
// name of its own and an answer for what is not foreseen, and every object of
// ours is closed.
func TestOpenAPIIsWhole(t *testing.T) {
	d, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				if d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...) == nil {
					t.Errorf("%s: %s leads nowhere", at, ref)
				}
			}
			if _, closed := v["additionalProperties"]; v["type"] == "object" && !closed {
				t.Errorf("%s: an object that anything may be added to", at)
			}
			for key, child := range v {
				walk(at+"/"+key, child)
			}
		case []any:
			for i, child := range v {
				walk(fmt.Sprint(at, "/", i), child)
			}
		}
	}
	walk("", d.root)
	for kind := range d.at("components") {
		if kind == "securitySchemes" {
			continue
		}
		for name := range d.at("components", kind) {
			if !used["#/components/"+kind+"/"+name] {
				t.Errorf("components/%s/%s is not used", kind, name)
			}
		}
	}
	ids := map[any]bool{}
	for _, op := range d.operations {
		about := d.at("paths", op.path, strings.ToLower(op.method))
		if id := about["operationId"]; id == nil || ids[id] {
			t.Errorf("%s %s: its id %v is missing or another's", op.method, op.path, id)
		}
		ids[about["operationId"]] = true
		if _, ok := op.responses["default"]; !ok || about["summary"] == nil || about["tags"] == nil {
			t.Errorf("%s %s: no summary, tag or default response", op.method, op.path)
		}
		security, given := about["security"].([]any)
		if !given {
			continue
		}
		for _, one := range security {
			scheme, _ := one.(map[string]any)
			for name := range scheme {
				if d.at("components", "securitySchemes", name) == nil {
					t.Errorf("%s %s: no security scheme %s", op.method, op.path, name)
				}
			}
		}
	}
}
