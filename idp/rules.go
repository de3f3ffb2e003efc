package idp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
)

// A Rule gives groups and roles to whoever has a claim with a certain value. An
// issuer's rules are looked at in their order, all of them, up to one that
// matches and says Stop.
type Rule struct {
	// Claim is the name of a claim, such as "eduperson_scoped_affiliation", or,
	// beginning with "/", a JSON Pointer (RFC 6901) to a value inside of one, such
	// as "/realm_access/roles". Its value may be a text, a number, true or false,
	// or a list of them, of which one must match.
	Claim string
	// Match says how Value is compared with the claim's, to the letter and with
	// regard to case.
	Match Match
	Value string
	// Groups and Roles are what the rule gives. With neither, and Stop, it keeps
	// the rules that follow from giving anything.
	Groups []string
	Roles  []lodge.Binding
	Stop   bool
}

// A Match is a way to compare.
type Match string

// The ways to compare.
const (
	Equals Match = "equals"
	Prefix Match = "prefix"
	Suffix Match = "suffix" // scoped values: "@ed.ac.uk" is not met by "@not-ed.ac.uk"
	Glob   Match = "glob"   // "*" stands for any text, also none; nothing else is special
)

// A Reason is why a person has one group or one role.
type Reason struct {
	Rule    int            `json:"rule"`  // the rule's place from 1; 0: the issuer's groups claim
	Claim   string         `json:"claim"` // as the rule names it
	Value   string         `json:"value"` // the claim's value that matched
	Group   string         `json:"group,omitempty"`
	Binding *lodge.Binding `json:"binding,omitempty"`
}

// Fact reports whether it is no reason for anything by itself, but something an
// issuer said that was noted (Identity.Noting).
func (r Reason) Fact() bool { return r.Group == "" && r.Binding == nil }

// A SignIn is what the last sign-in of one subject gave its person.
type SignIn struct {
	Subject
	At       time.Time // zero for one from before this was written down
	Groups   []string
	Bindings []lodge.Binding
	Reasons  []Reason
}

// Facts returns what was noted at the sign-in.
func (s SignIn) Facts() []Reason {
	return slices.DeleteFunc(slices.Clone(s.Reasons), func(r Reason) bool { return !r.Fact() })
}

// maxFacts bounds how much is noted at one sign-in.
const maxFacts = 200

// Noting returns the identity with what the issuer said of some claims among its
// reasons, so that a Store keeps it. What the issuer did not say is not noted.
func (who Identity) Noting(names []string) Identity {
	who.Reasons = slices.Clone(who.Reasons)
	noted := 0
	for _, name := range names {
		for _, value := range who.said.values(name) {
			if noted++; noted > maxFacts {
				return who
			}
			who.Reasons = append(who.Reasons, Reason{Claim: name, Value: value})
		}
	}
	return who
}

// check returns what is wrong with a rule.
func (r Rule) check() error {
	var faults []error
	if r.Claim == "" || r.Claim == "/" {
		faults = append(faults, errors.New("claim: name the claim that it looks at"))
	}
	switch {
	case !slices.Contains([]Match{Equals, Prefix, Suffix, Glob}, r.Match):
		faults = append(faults, fmt.Errorf("%q is no way to match; use equals, prefix, suffix or glob", r.Match))
	case r.Value == "":
		faults = append(faults, fmt.Errorf("%s: the value is missing", r.Match))
	}
	if len(r.Groups) == 0 && len(r.Roles) == 0 && !r.Stop {
		faults = append(faults, errors.New("it gives nothing; add groups, roles or stop"))
	}
	for _, g := range r.Groups {
		if !groupName(g) {
			faults = append(faults, fmt.Errorf("groups: %q is not a group's name", g))
		}
	}
	for _, b := range r.Roles {
		faults = append(faults, checkBinding(b))
	}
	return errors.Join(faults...)
}

func checkBinding(b lodge.Binding) error {
	roles := []lodge.Role{lodge.RoleAdministrator, lodge.RoleOrganiser, lodge.RoleTechnician, lodge.RoleInstructor, lodge.RoleViewer}
	if !slices.Contains(roles, b.Role) {
		return fmt.Errorf("roles: there is no role %q; use one of %q", b.Role, roles)
	}
	if b.Scope == lodge.ScopeTenant {
		return nil
	}
	if kinds := []string{"group", "experiment", "policy", "pool"}; !slices.Contains(kinds, b.Scope.Kind()) || b.Scope.ID() == "" {
		return fmt.Errorf("roles: scope %q; use tenant, or one of %q with a colon and a name", b.Scope, kinds)
	}
	return nil
}

// matches reports whether a value is one that the rule is about.
func (r Rule) matches(value string) bool {
	switch r.Match {
	case Equals:
		return value == r.Value
	case Prefix:
		return strings.HasPrefix(value, r.Value)
	case Suffix:
		return strings.HasSuffix(value, r.Value)
	case Glob:
		return glob(r.Value, value)
	}
	return false
}

// glob matches with "*" for any text. Each piece between two stars is taken where
// it is found first, which never spoils a match of the next, so the time is
// bounded by the product of the lengths.
func glob(pattern, value string) bool {
	pieces := strings.Split(pattern, "*")
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(pieces) == 1 {
		return value == pattern
	}
	if len(value) < len(first)+len(last) || !strings.HasPrefix(value, first) || !strings.HasSuffix(value, last) {
		return false
	}
	value = value[len(first) : len(value)-len(last)]
	for _, piece := range pieces[1 : len(pieces)-1] {
		_, rest, found := strings.Cut(value, piece)
		if !found {
			return false
		}
		value = rest
	}
	return true
}

// values returns what a rule's claim holds, as texts. What is neither a text, a
// number, a truth value nor a list of them holds nothing.
func (c claims) values(name string) []string {
	raw := c[name]
	if path, ok := strings.CutPrefix(name, "/"); ok && raw == nil {
		raw = c.at(strings.Split(path, "/"))
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	var out []string
	for _, one := range list {
		if value, ok := scalar(one); ok {
			out = append(out, value)
		}
	}
	return out
}

// at follows a JSON Pointer through objects.
func (c claims) at(path []string) json.RawMessage {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for i, segment := range path {
		raw := c[unescape.Replace(segment)]
		if i == len(path)-1 {
			return raw
		}
		c = nil
		if json.Unmarshal(raw, &c) != nil {
			return nil
		}
	}
	return nil
}

func scalar(raw json.RawMessage) (string, bool) {
	var text string
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null":
		return "", false
	case raw[0] == '"':
		return text, json.Unmarshal(raw, &text) == nil && len(text) <= maxValue && !hasControl(text)
	}
	return string(raw), len(raw) <= maxValue // a number or a truth value, as the issuer wrote it
}

// apply evaluates rules and adds what they give to an identity, with the reasons.
func apply(rules []Rule, said claims, who *Identity) {
	for i, rule := range rules {
		values := said.values(rule.Claim)
		at := slices.IndexFunc(values, rule.matches)
		if at < 0 {
			continue
		}
		for _, group := range rule.Groups {
			who.Groups = append(who.Groups, group)
			who.Reasons = append(who.Reasons, Reason{Rule: i + 1, Claim: rule.Claim, Value: values[at], Group: group})
		}
		for _, binding := range rule.Roles {
			who.Bindings = append(who.Bindings, binding)
			who.Reasons = append(who.Reasons, Reason{Rule: i + 1, Claim: rule.Claim, Value: values[at], Binding: &binding})
		}
		if rule.Stop {
			break
		}
	}
	slices.Sort(who.Groups)
	who.Groups = slices.Compact(who.Groups)
	who.Bindings = SortBindings(who.Bindings)
}

// SortBindings sorts bindings and leaves out repetitions, in place.
func SortBindings(list []lodge.Binding) []lodge.Binding {
	slices.SortFunc(list, func(a, b lodge.Binding) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Scope, b.Scope))
	})
	return slices.Compact(list)
}

// String names a rule as an explanation shows it.
func (r Rule) String() string { return r.Claim + " " + string(r.Match) + " " + strconv.Quote(r.Value) }
