package main

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// ruleFile is a rule of an issuer as the file has it: a claim, one of the four
// ways to match, and what it gives. Roles are written role@scope, such as
// instructor@group:physics-1 or administrator@tenant.
type ruleFile struct {
	Claim  string   `yaml:"claim"`
	Equals string   `yaml:"equals"`
	Prefix string   `yaml:"prefix"`
	Suffix string   `yaml:"suffix"`
	Glob   string   `yaml:"glob"`
	Groups []string `yaml:"groups"`
	Roles  []string `yaml:"roles"`
	Stop   bool     `yaml:"stop"`
}

// UnmarshalYAML refuses keys that are not there: a misspelt one would silently
// give, or keep, what it was to decide about.
func (f *ruleFile) UnmarshalYAML(node *yaml.Node) error {
	const known = "claim equals prefix suffix glob groups roles stop"
	if node.Kind == yaml.MappingNode {
		for i := 0; i < len(node.Content); i += 2 {
			if key := node.Content[i].Value; !strings.Contains(" "+known+" ", " "+key+" ") {
				return fmt.Errorf("line %d: there is no key %q; a rule has %s", node.Content[i].Line, key, known)
			}
		}
	}
	type plain ruleFile
	return node.Decode((*plain)(f))
}

// rules returns the rules of an issuer. What package idp finds wrong with them
// is its to say; here is what only the file can get wrong.
func rules(files []ruleFile) ([]idp.Rule, error) {
	var out []idp.Rule
	var faults []error
	for i, f := range files {
		r, err := f.rule()
		if err != nil {
			faults = append(faults, fmt.Errorf("rule %d: %w", i+1, err))
		}
		out = append(out, r)
	}
	return out, errors.Join(faults...)
}

func (f ruleFile) rule() (idp.Rule, error) {
	r := idp.Rule{Claim: f.Claim, Groups: f.Groups, Stop: f.Stop}
	for _, way := range []struct {
		match idp.Match
		value string
	}{{idp.Equals, f.Equals}, {idp.Prefix, f.Prefix}, {idp.Suffix, f.Suffix}, {idp.Glob, f.Glob}} {
		if way.value == "" {
			continue
		}
		if r.Match != "" {
			return r, fmt.Errorf("it has both %s and %s; give one", r.Match, way.match)
		}
		r.Match, r.Value = way.match, way.value
	}
	for _, one := range f.Roles {
		role, scope, found := strings.Cut(one, "@")
		if !found {
			return r, fmt.Errorf("role %q; write it role@scope, such as instructor@group:physics-1", one)
		}
		r.Roles = append(r.Roles, lodge.Binding{Role: lodge.Role(role), Scope: lodge.Scope(scope)})
	}
	return r, nil
}
