package idp

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func TestRuleMatches(t *testing.T) {
	for _, c := range []struct {
		match  Match
		value  string
		yes    []string
		no     []string
		strays []string // JSON that is no text
	}{
		{Equals, "staff", []string{"staff"}, []string{"Staff", "staff ", "staf", ""}, nil},
		{Prefix, "urn:lab:", []string{"urn:lab:", "urn:lab:x"}, []string{"urn:la", "xurn:lab:"}, nil},
		{Suffix, "@ed.ac.uk", []string{"staff@ed.ac.uk", "@ed.ac.uk"}, []string{"staff@not-ed.ac.uk", "staff@ed.ac.uk.evil.example", "ed.ac.uk"}, nil},
		{Glob, "*@*.ac.uk", []string{"a@b.ac.uk", "@.ac.uk"}, []string{"a@ac.uk", "a@b.ac.uk.evil"}, nil},
		{Glob, "urn:*:lab:*", []string{"urn:x:lab:", "urn:a:lab:lab:1"}, []string{"urn:lab:", "urnx:lab:"}, nil},
		{Glob, "a[b]?", []string{"a[b]?"}, []string{"ab", "abc"}, nil},
		{Glob, "aba*aba", []string{"abaaba", "abaxaba"}, []string{"aba", "ababa"}, nil},
		{Equals, "true", []string{"true"}, []string{"false"}, []string{"true"}},
		{Equals, "7", []string{"7"}, []string{"7.0"}, []string{"7"}},
	} {
		r := Rule{Claim: "c", Match: c.match, Value: c.value}
		for _, v := range c.yes {
			if !r.matches(v) {
				t.Errorf("%v does not match %q", r, v)
			}
		}
		for _, v := range c.no {
			if r.matches(v) {
				t.Errorf("%v matches %q", r, v)
			}
		}
		for _, raw := range c.strays {
			if got := read(t, `{"c":`+raw+`}`).values("c"); len(got) != 1 || !r.matches(got[0]) {
				t.Errorf("%v does not match %s", r, raw)
			}
		}
	}
}

func TestGlobLaws(t *testing.T) {
	letters := rapid.StringOfN(rapid.RuneFrom([]rune("ab*")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		pattern, value := letters.Draw(t, "pattern"), letters.Draw(t, "value")
		if got, want := glob(pattern, value), slowGlob(pattern, value); got != want {
			t.Errorf("glob(%q, %q) = %v, want %v", pattern, value, got, want)
		}
	})
}

// slowGlob tries everything.
func slowGlob(pattern, value string) bool {
	switch {
	case pattern == "":
		return value == ""
	case pattern[0] == '*':
		return slowGlob(pattern[1:], value) || value != "" && slowGlob(pattern, value[1:])
	default:
		return value != "" && value[0] == pattern[0] && slowGlob(pattern[1:], value[1:])
	}
}

func TestRuleValues(t *testing.T) {
	for text, want := range map[string][]string{
		`{}`:                               nil,
		`{"c":null}`:                       nil,
		`{"c":"a"}`:                        {"a"},
		`{"c":["a","b"]}`:                  {"a", "b"},
		`{"c":["a",{"b":1},["c"],7]}`:      {"a", "7"},
		`{"c":{"a":"b"}}`:                  nil,
		`{"c":["a\u0000"]}`:                nil,
		`{"c":true}`:                       {"true"},
		`{"C":"a"}`:                        nil,
		`{"c":"` + long(maxValue) + `"}`:   {long(maxValue)},
		`{"c":"` + long(maxValue+1) + `"}`: nil,
	} {
		if got := read(t, text).values("c"); !slices.Equal(got, want) {
			t.Errorf("%.60s: %.60q, want %.60q", text, got, want)
		}
	}
	nested := read(t, `{"realm_access":{"roles":["x","y"],"a/b":"z"},"/odd":"o"}`)
	for pointer, want := range map[string][]string{
		"/realm_access/roles": {"x", "y"}, "/realm_access/a~1b": {"z"}, "/odd": {"o"},
		"/realm_access": nil, "/realm_access/roles/0": nil, "/none/roles": nil, "realm_access/roles": nil,
	} {
		if got := nested.values(pointer); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", pointer, got, want)
		}
	}
}

func long(n int) string { return strings.Repeat("v", n) }

// eduPerson attributes as institutions send them: one string or a list, scoped,
// and without a family name.
func TestRulesGiveGroupsAndRolesAndSayWhy(t *testing.T) {
	instructor := lodge.Binding{Role: lodge.RoleInstructor, Scope: "group:physics-1"}
	rules := []Rule{
		{Claim: "eduperson_affiliation", Match: Equals, Value: "alum", Stop: true},
		{Claim: "eduperson_scoped_affiliation", Match: Suffix, Value: "@ed.ac.uk", Groups: []string{"edinburgh"}},
		{Claim: "eduperson_affiliation", Match: Equals, Value: "staff", Groups: []string{"staff"}, Roles: []lodge.Binding{instructor}},
		{Claim: "eduperson_entitlement", Match: Glob, Value: "urn:*:lab:physics", Groups: []string{"physics-1"}},
	}
	is := &issuer{cfg: IssuerConfig{ID: "dev", GroupsClaim: "groups", Rules: rules}, clock: newClock()}
	for _, c := range []struct {
		claims   string
		groups   []string
		bindings []lodge.Binding
		because  []int
	}{
		{`{"name":"Ada"}`, nil, nil, nil},
		{
			`{"eduperson_affiliation":"staff","eduperson_scoped_affiliation":["staff@ed.ac.uk","member@ed.ac.uk"]}`,
			[]string{"edinburgh", "staff"},
			[]lodge.Binding{instructor},
			[]int{2, 3, 3},
		},
		{`{"eduperson_affiliation":["member","staff"]}`, []string{"staff"}, []lodge.Binding{instructor}, []int{3, 3}},
		{`{"eduperson_entitlement":"urn:x:lab:physics","groups":["physics-1","everyone"]}`, []string{"everyone", "physics-1"}, nil, []int{0, 0, 4}},
		{`{"eduperson_affiliation":["staff","alum"],"groups":"everyone"}`, []string{"everyone"}, nil, []int{0}},
	} {
		who, err := is.identity(read(t, c.claims), "")
		if err != nil || !slices.Equal(who.Groups, c.groups) || !slices.Equal(who.Bindings, c.bindings) || who.FamilyName != "" {
			t.Errorf("%s: groups %q, bindings %v (%v)", c.claims, who.Groups, who.Bindings, err)
		}
		var because []int
		for _, r := range who.Reasons {
			because = append(because, r.Rule)
			if r.Claim == "" || r.Value == "" || (r.Group == "") == (r.Binding == nil) {
				t.Errorf("%s: reason %+v", c.claims, r)
			}
		}
		if !slices.Equal(because, c.because) {
			t.Errorf("%s: because of rules %v, want %v", c.claims, because, c.because)
		}
	}
}

func TestEveryGroupAndRoleHasAReason(t *testing.T) {
	text := rapid.SampledFrom([]string{"a", "b", "c", "ab", "*"})
	rapid.Check(t, func(t *rapid.T) {
		var rules []Rule
		for range rapid.IntRange(0, 5).Draw(t, "rules") {
			rules = append(rules, Rule{
				Claim: "c", Match: rapid.SampledFrom([]Match{Equals, Prefix, Suffix, Glob}).Draw(t, "match"), Value: text.Draw(t, "value"),
				Groups: rapid.SliceOfN(text, 0, 2).Draw(t, "groups"), Stop: rapid.Bool().Draw(t, "stop"),
				Roles: []lodge.Binding{{Role: lodge.RoleViewer, Scope: lodge.ScopeOf("group", text.Draw(t, "scope"))}},
			})
		}
		var who Identity
		apply(rules, claims{"c": []byte(`["` + text.Draw(t, "one") + `","` + text.Draw(t, "two") + `"]`)}, &who)
		for _, g := range who.Groups {
			if !slices.ContainsFunc(who.Reasons, func(r Reason) bool { return r.Group == g && rules[r.Rule-1].matches(r.Value) }) {
				t.Errorf("group %q without a reason in %+v", g, who.Reasons)
			}
		}
		for _, b := range who.Bindings {
			if !slices.ContainsFunc(who.Reasons, func(r Reason) bool { return r.Binding != nil && *r.Binding == b && rules[r.Rule-1].matches(r.Value) }) {
				t.Errorf("binding %v without a reason in %+v", b, who.Reasons)
			}
		}
		for _, r := range who.Reasons {
			for _, before := range rules[:r.Rule-1] {
				if before.Stop && slices.ContainsFunc([]string{who.Reasons[0].Value}, before.matches) {
					t.Errorf("rule %d gave after %v stopped", r.Rule, before)
				}
			}
		}
	})
}

func TestRulesAreCheckedTogether(t *testing.T) {
	cfg := IssuerConfig{ID: "dev", URL: "https://idp.example.org", ClientID: "lodge", Rules: []Rule{
		{Match: Equals, Value: "x", Groups: []string{"g"}},
		{Claim: "c", Match: "regexp", Value: "x", Groups: []string{"g"}},
		{Claim: "c", Match: Equals, Groups: []string{"g"}},
		{Claim: "c", Match: Equals, Value: "x"},
		{Claim: "c", Match: Equals, Value: "x", Groups: []string{" g"}},
		{Claim: "c", Match: Equals, Value: "x", Roles: []lodge.Binding{{Role: "king", Scope: "tenant"}}},
		{Claim: "c", Match: Equals, Value: "x", Roles: []lodge.Binding{{Role: lodge.RoleTechnician, Scope: "pend00"}}},
		{Claim: "c", Match: Equals, Value: "x", Stop: true}, // good
	}}
	_, err := New([]IssuerConfig{cfg}, newClock(), Options{})
	if err == nil {
		t.Fatal("faulty rules were accepted")
	}
	for i, part := range []string{"name the claim", "no way to match", "value is missing", "gives nothing", "not a group's name", `no role "king"`, `scope "pend00"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("rule %d: %q is not in %v", i+1, part, err)
		}
	}
	if strings.Contains(err.Error(), "rule 8") {
		t.Errorf("a good rule is refused: %v", err)
	}
}

func TestRulesAskForClaimsThatTheTokenLacks(t *testing.T) {
	w := newWorld(t, idptest.Faults{UserInfo: func(c map[string]any) { c["eduperson_entitlement"] = "urn:lab:physics" }},
		func(c *IssuerConfig, _ *idptest.Client) {
			c.Rules = []Rule{{Claim: "eduperson_entitlement", Match: Prefix, Value: "urn:lab:", Groups: []string{"lab"}}}
		})
	who, err := w.signIn()
	if err != nil || !slices.Contains(who.Groups, "lab") {
		t.Errorf("%+v, %v", who, err)
	}
}
