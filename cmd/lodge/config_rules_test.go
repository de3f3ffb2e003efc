package main

import (
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

func TestRulesOfAnIssuer(t *testing.T) {
	const file = `
- claim: eduperson_affiliation
  equals: alum
  stop: true
- claim: eduperson_scoped_affiliation
  suffix: "@ed.ac.uk"
  groups: [edinburgh]
- claim: /realm_access/roles
  glob: "lab-*"
  roles: [instructor@group:physics-1, viewer@tenant]
`
	var read []ruleFile
	if err := yaml.Unmarshal([]byte(file), &read); err != nil {
		t.Fatal(err)
	}
	got, err := rules(read)
	want := []idp.Rule{
		{Claim: "eduperson_affiliation", Match: idp.Equals, Value: "alum", Stop: true},
		{Claim: "eduperson_scoped_affiliation", Match: idp.Suffix, Value: "@ed.ac.uk", Groups: []string{"edinburgh"}},
		{
			Claim: "/realm_access/roles", Match: idp.Glob, Value: "lab-*",
			Roles: []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:physics-1"}, {Role: lodge.RoleViewer, Scope: lodge.ScopeTenant}},
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("rules: %+v (%v), want %+v", got, err, want)
	}
}

func TestFaultyRulesOfAnIssuer(t *testing.T) {
	for file, part := range map[string]string{
		"[{claim: c, equals: x, prefix: y}]":        "both equals and prefix",
		"[{claim: c, equals: x, roles: [teacher]}]": "role@scope",
		"[{claim: c, eqauls: x, groups: [g]}]":      `no key "eqauls"`,
	} {
		var read []ruleFile
		err := yaml.Unmarshal([]byte(file), &read)
		if err == nil {
			_, err = rules(read)
		}
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want %q", file, err, part)
		}
	}
}
