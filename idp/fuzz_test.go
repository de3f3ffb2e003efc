package idp

import (
	"encoding/json"
	"net/url"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lodge-gateway/lodge"
)

// FuzzSec13_Answer: whatever a browser brings back, and whatever stands in its
// session, an answer is taken for that of a flow only when it is: the state equal,
// the flow young, this issuer's and complete, no parameter twice.
func FuzzSec13_Answer(f *testing.F) {
	clock := newClock()
	good := Flow{Issuer: "dev", State: "s", Nonce: "n", Verifier: "v", ReturnTo: "/", Started: clock.Now()}
	kept, err := good.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	for _, query := range []string{"state=s&code=c&iss=https://idp.example", "state=s", "state=", "", "state=s&state=s", "code=c&state=S", "state=s;code=c", "%zz", "state=s&error=access_denied"} {
		f.Add(kept, query)
		f.Add([]byte(`{}`), query)
	}
	f.Add([]byte(`{"i":"dev","t":"0001-01-01T00:00:00Z"}`), "state=")
	f.Add([]byte(`null`), "state")
	rp := &RelyingParty{clock: clock}
	is := &issuer{cfg: IssuerConfig{ID: "dev", Name: "University", URL: "https://idp.example"}, clock: clock}
	f.Fuzz(func(t *testing.T, kept []byte, raw string) {
		flow, err := UnmarshalFlow(kept)
		if err != nil {
			if lodge.CodeOf(err) != lodge.CodeUnauthenticated {
				t.Fatalf("a flow that cannot be read: %v", err)
			}
			return
		}
		query, _ := url.ParseQuery(raw) // as net/http does: what can be read of it
		if err := rp.ours("dev", flow, query); err != nil {
			return
		}
		age := clock.Now().Sub(flow.Started)
		if flow.Issuer != "dev" || flow.State == "" || flow.Nonce == "" || flow.Verifier == "" || age > FlowLife || age < -time.Minute ||
			!slices.Equal(query["state"], []string{flow.State}) {
			t.Fatalf("%q was taken for the answer to %+v", raw, flow)
		}
		for _, sends := range []bool{true, false} {
			code, err := is.code(metadata{SendsIssuer: sends}, query)
			if (err == nil) != (code != "") {
				t.Fatalf("%q: code %q, %v", raw, code, err)
			}
			if err == nil && (query.Has("error") && query.Get("error") != "" || query.Get("iss") != "https://idp.example" && (sends || query.Has("iss"))) {
				t.Fatalf("%q gives a code, with issuer %v", raw, sends)
			}
		}
	})
}

// FuzzClaims: whatever an issuer signs, an identity is fit to be shown and kept, and
// every group and role in it has a reason.
func FuzzClaims(f *testing.F) {
	for _, text := range []string{
		`{"sub":"ada","name":"Ada Lovelace","family_name":"Lovelace","groups":["a","b"],"sid":"s"}`,
		`{"sub":"ada","eduperson_scoped_affiliation":"staff@example.org"}`,
		`{"sub":"ada","eduperson_scoped_affiliation":["member@example.org",7,null,{"a":1}],"groups":"one"}`,
		`{"realm_access":{"roles":["lab-1"]}}`, `{"name":"\u202e\u0000","groups":["\ud800"]}`, `{}`, `null`, `{"/realm_access/roles":true}`,
	} {
		f.Add([]byte(text))
	}
	is := &issuer{clock: newClock(), cfg: IssuerConfig{ID: "dev", Name: "University", GroupsClaim: "groups", Rules: []Rule{
		{Claim: "eduperson_scoped_affiliation", Match: Suffix, Value: "@example.org", Groups: []string{"members"}},
		{Claim: "/realm_access/roles", Match: Glob, Value: "lab-*", Roles: []lodge.Binding{{Role: lodge.RoleViewer, Scope: lodge.ScopeTenant}}},
	}}}
	f.Fuzz(func(t *testing.T, text []byte) {
		var said claims
		if json.Unmarshal(text, &said) != nil {
			return
		}
		who, err := is.identity(said, "")
		if err != nil {
			if lodge.CodeOf(err) != lodge.CodeRefused {
				t.Fatalf("%s: %v", text, err)
			}
			return
		}
		for _, shown := range []string{who.Name, who.FamilyName, who.Email} {
			if hasControl(shown) || !utf8.ValidString(shown) || utf8.RuneCountInString(shown) > maxName {
				t.Fatalf("%s: %q is shown", text, shown)
			}
		}
		if !slices.IsSorted(who.Groups) || len(slices.Compact(slices.Clone(who.Groups))) != len(who.Groups) {
			t.Fatalf("%s: groups %q", text, who.Groups)
		}
		for _, group := range who.Groups {
			if !groupName(group) || !slices.ContainsFunc(who.Reasons, func(r Reason) bool { return r.Group == group }) {
				t.Fatalf("%s: group %q, reasons %+v", text, group, who.Reasons)
			}
		}
		for _, binding := range who.Bindings {
			if !slices.ContainsFunc(who.Reasons, func(r Reason) bool { return r.Binding != nil && *r.Binding == binding }) {
				t.Fatalf("%s: %v has no reason", text, binding)
			}
		}
	})
}
