package idp

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/lodge-gateway/lodge"
)

const (
	maxName   = 200  // runes of a name or an e-mail address
	maxGroup  = 255  // bytes of a group's name
	maxGroups = 1000 // groups of a person
	maxValue  = 1024 // bytes of a value that a rule looks at
)

// claims is what an issuer says about a person, each claim still in JSON.
type claims map[string]json.RawMessage

// identity reads an Identity out of verified claims: what they say, and what the
// issuer's rules make of it.
func (is *issuer) identity(c claims, idToken string) (Identity, error) {
	who := Identity{
		Issuer:     is.cfg.ID,
		Subject:    c.text("sub"), // an identifier: kept to the letter
		Name:       clean(c.text("name")),
		FamilyName: clean(c.text("family_name")),
		Email:      clean(c.text("email")),
		SessionID:  c.text("sid"),

		EmailVerified: c.yes("email_verified") || is.cfg.TrustEmail && c["email_verified"] == nil,

		IDToken: idToken,
		At:      is.clock.Now(),
		Groups:  c.groups(is.cfg.GroupsClaim),
		said:    c,
	}
	for _, group := range who.Groups {
		who.Reasons = append(who.Reasons, Reason{Claim: is.cfg.GroupsClaim, Value: group, Group: group})
	}
	apply(is.cfg.Rules, c, &who)
	if who.Name == "" {
		who.Name = clean(c.text("given_name") + " " + who.FamilyName)
	}
	if who.Name == "" {
		who.Name = clean(c.text("preferred_username"))
	}
	if len(who.Groups) > maxGroups {
		return Identity{}, lodge.E(lodge.CodeRefused, is.cfg.Name+
			" lists more than 1000 groups for this account. Please ask Lodge's administrator to have the list shortened.")
	}
	return who, nil
}

// text returns a claim that is a string; anything else is as good as absent.
func (c claims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// yes reports whether a claim is true. Some issuers write it as a string.
func (c claims) yes(name string) bool {
	var yes bool
	return json.Unmarshal(c[name], &yes) == nil && yes || c.text(name) == "true"
}

// time returns a claim that is a NumericDate (RFC 7519, section 2). What is none is
// taken for a time that never comes.
func (c claims) time(name string) time.Time {
	var seconds float64
	if json.Unmarshal(c[name], &seconds) != nil || math.Abs(seconds) > 1<<40 {
		seconds = 1 << 40
	}
	return time.Unix(int64(seconds), 0)
}

// groups returns a claim that is one string or a list of them, as institutions
// send either, sorted and without repetition.
func (c claims) groups(name string) []string {
	var list []any
	if one := c.text(name); one != "" {
		list = []any{one}
	} else if json.Unmarshal(c[name], &list) != nil {
		return nil
	}
	var groups []string
	for _, g := range list {
		s, ok := g.(string)
		s = strings.TrimSpace(s)
		// A name is compared to the letter, so it is kept as it is or not at all.
		if !ok || !groupName(s) {
			continue
		}
		groups = append(groups, s)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

func groupName(s string) bool {
	return s != "" && s == strings.TrimSpace(s) && len(s) <= maxGroup && !hasControl(s)
}

// clean makes a text from outside fit to be shown: composed, on one line, without
// control characters or marks that turn the direction of what follows.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r == unicode.ReplacementChar, unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	s = norm.NFC.String(strings.Join(strings.Fields(s), " "))
	if r := []rune(s); len(r) > maxName {
		s = strings.TrimSpace(string(r[:maxName]))
	}
	return s
}
