package idp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func read(t *testing.T, text string) claims {
	t.Helper()
	var c claims
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNames(t *testing.T) {
	is := &issuer{cfg: IssuerConfig{ID: "dev", GroupsClaim: "groups"}, clock: newClock()}
	for text, want := range map[string][2]string{ // name, family name
		`{"name":"Ada Lovelace","family_name":"Lovelace"}`:                         {"Ada Lovelace", "Lovelace"},
		`{"name":"Ada Lovelace"}`:                                                  {"Ada Lovelace", ""}, // never guessed
		`{"given_name":"Søren","family_name":"Ó Briain"}`:                          {"Søren Ó Briain", "Ó Briain"},
		`{"family_name":"Ó Briain"}`:                                               {"Ó Briain", "Ó Briain"},
		`{"preferred_username":"s123"}`:                                            {"s123", ""},
		`{"name":"","preferred_username":"s123"}`:                                  {"s123", ""},
		`{"name":7,"family_name":["x"]}`:                                           {"", ""},
		`{"name":"  Ada \n\t Lovelace ","family_name":"O\u0301 Briain"}`:           {"Ada Lovelace", "Ó Briain"},
		`{"name":"Ada\u202e\u0000\u0007 Lovelace","family_name":"Love\u2066lace"}`: {"Ada Lovelace", "Lovelace"},
		`{"name":"李 小龍","family_name":"李"}`:                                        {"李 小龍", "李"},
	} {
		who, err := is.identity(read(t, text), "")
		if err != nil || who.Name != want[0] || who.FamilyName != want[1] {
			t.Errorf("%s: %q, %q (%v), want %q", text, who.Name, who.FamilyName, err, want)
		}
	}
}

// TestSec21: mail goes where an issuer vouches for the address, or where the operator
// vouches for an issuer that says nothing either way.
func TestSec21_WhoseAddressesAreVerified(t *testing.T) {
	for text, want := range map[string][2]bool{ // as it is, and with trust
		`{"email":"a@example.org"}`:                           {false, true},
		`{"email":"a@example.org","email_verified":true}`:     {true, true},
		`{"email":"a@example.org","email_verified":"true"}`:   {true, true},
		`{"email":"a@example.org","email_verified":false}`:    {false, false},
		`{"email":"a@example.org","email_verified":"false"}`:  {false, false},
		`{"email":"a@example.org","email_verified":null}`:     {false, false},
		`{"email":"a@example.org","email_verified":1}`:        {false, false},
		`{"email":"a@example.org","email_verified":["true"]}`: {false, false},
	} {
		for i, trust := range []bool{false, true} {
			is := &issuer{cfg: IssuerConfig{ID: "dev", TrustEmail: trust}, clock: newClock()}
			who, err := is.identity(read(t, text), "")
			if err != nil || who.EmailVerified != want[i] {
				t.Errorf("%s with trust %v: verified %v (%v)", text, trust, who.EmailVerified, err)
			}
		}
	}
}

func TestGroupsAreAStringOrAList(t *testing.T) {
	for text, want := range map[string][]string{
		`{}`:                               nil,
		`{"groups":null}`:                  nil,
		`{"groups":"staff"}`:               {"staff"},
		`{"groups":"a, b"}`:                {"a, b"}, // one value, whatever is in it
		`{"groups":""}`:                    nil,
		`{"groups":[]}`:                    nil,
		`{"groups":["b","a","b"," a "]}`:   {"a", "b"},
		`{"groups":["a",7,null,["x"],""]}`: {"a"},
		`{"groups":{"a":true}}`:            nil,
		`{"groups":7}`:                     nil,
		`{"groups":["staff\n","st\u0000aff","\ufffd"]}`: {"staff"},
	} {
		if got := read(t, text).groups("groups"); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	long := strings.Repeat("g", maxGroup+1)
	if got := read(t, `{"groups":["`+long+`","ok"]}`).groups("groups"); !slices.Equal(got, []string{"ok"}) {
		t.Errorf("an overlong group: %q", got)
	}
}

func TestTooManyGroupsAreRefusedNotCut(t *testing.T) {
	w := newWorld(t, idptest.Faults{Claims: func(c map[string]any) {
		var groups []string
		for i := range maxGroups + 1 {
			groups = append(groups, fmt.Sprint("g", i))
		}
		c["groups"] = groups
	}})
	_, err := w.signIn()
	wantRefused(t, err, lodge.CodeRefused)
}

func TestClaimsOnlyAtUserInfo(t *testing.T) {
	w := newWorld(t, idptest.Faults{Claims: func(c map[string]any) {
		for _, name := range []string{"name", "family_name", "groups", "email"} {
			delete(c, name)
		}
	}})
	who, err := w.signIn()
	if err != nil || who.Name != "Ada Lovelace" || who.FamilyName != "Lovelace" || len(who.Groups) != 2 {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestTheTokenWinsOverUserInfo(t *testing.T) {
	w := newWorld(t, idptest.Faults{
		Claims:   func(c map[string]any) { delete(c, "family_name") },
		UserInfo: func(c map[string]any) { c["name"], c["groups"], c["family_name"] = "Eve", []string{"staff"}, "King" },
	})
	who, err := w.signIn()
	if err != nil || who.Name != "Ada Lovelace" || who.FamilyName != "King" || slices.Contains(who.Groups, "staff") {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestGroupsClaimIsConfigured(t *testing.T) {
	w := newWorld(t, idptest.Faults{Claims: func(c map[string]any) { c["eduperson_affiliation"] = "student" }},
		func(c *IssuerConfig, _ *idptest.Client) { c.GroupsClaim = "eduperson_affiliation" })
	who, err := w.signIn()
	if err != nil || !slices.Equal(who.Groups, []string{"student"}) {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestCleanTextIsFitToBeShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		got := clean(s)
		if !utf8.ValidString(got) || len([]rune(got)) > maxName || strings.TrimSpace(got) != got || strings.Contains(got, "  ") {
			t.Errorf("clean(%q) = %q", s, got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("clean(%q) = %q holds control characters", s, got)
		}
		if again := clean(got); again != got {
			t.Errorf("clean is not idempotent: %q, %q", got, again)
		}
	})
}
