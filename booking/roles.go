package booking

import (
	"slices"

	"github.com/lodge-gateway/lodge"
)

// A RoleBinding gives a role within a scope to people: by subject, written
// issuer:subject ("dev:grace"), by a group they are in, or by what their issuer
// says of them.
type RoleBinding struct {
	Role     string      `json:"role"`
	Scope    string      `json:"scope"`
	Subjects []string    `json:"subjects,omitempty"`
	Groups   []string    `json:"groups,omitempty"`
	Claims   []ClaimRule `json:"claims,omitempty"`
}

// A ClaimRule is about people of whom an issuer says something: that a claim has a
// value, or has it among others.
type ClaimRule struct {
	Issuer string `json:"issuer"`
	Claim  string `json:"claim"` // by name or, beginning with "/", by JSON Pointer (RFC 6901)
	Value  string `json:"value"` // to the letter
}

// A Holder is somebody whose roles are asked for.
type Holder struct {
	Subjects []string // written issuer:subject
	Groups   []string
	Claims   []ClaimRule // what issuers said at the last sign-ins
}

// HeldBy returns what gives the role to somebody; nothing when it is not theirs.
func (r RoleBinding) HeldBy(who Holder) (subjects, groups []string, claims []ClaimRule) {
	for _, s := range r.Subjects {
		if slices.Contains(who.Subjects, s) {
			subjects = append(subjects, s)
		}
	}
	for _, g := range r.Groups {
		if slices.Contains(who.Groups, g) {
			groups = append(groups, g)
		}
	}
	for _, c := range r.Claims {
		if slices.Contains(who.Claims, c) {
			claims = append(claims, c)
		}
	}
	return subjects, groups, claims
}

// Reach is a role binding with everything it holds for: a role that is bound to a
// pool holds for each experiment of it, too.
func (c *Catalogue) Reach(b lodge.Binding) []lodge.Binding {
	out := []lodge.Binding{b}
	if b.Scope.Kind() == "pool" {
		for _, experiment := range c.Pools[b.Scope.ID()].Experiments {
			out = append(out, lodge.Binding{Role: b.Role, Scope: lodge.ScopeOf("experiment", experiment)})
		}
	}
	return out
}

// Bindings returns the roles that the catalogue gives to somebody, in the order of
// the bindings' names, each with its reach and each once.
func (c *Catalogue) Bindings(who Holder) []lodge.Binding {
	var out []lodge.Binding
	for _, name := range sortedKeys(c.Roles) {
		r := c.Roles[name]
		if s, g, claims := r.HeldBy(who); len(s)+len(g)+len(claims) == 0 {
			continue
		}
		for _, b := range c.Reach(lodge.Binding{Role: lodge.Role(r.Role), Scope: lodge.Scope(r.Scope)}) {
			if !slices.Contains(out, b) {
				out = append(out, b)
			}
		}
	}
	return out
}

// ClaimsOf returns the claims of an issuer that role bindings are about, sorted.
func (c *Catalogue) ClaimsOf(issuer string) []string {
	var out []string
	for _, r := range c.Roles {
		for _, rule := range r.Claims {
			if rule.Issuer == issuer {
				out = append(out, rule.Claim)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var roles = []lodge.Role{
	lodge.RoleAdministrator, lodge.RoleOrganiser, lodge.RoleTechnician, lodge.RoleInstructor, lodge.RoleViewer,
}

func (k *checker) role(object string, r *RoleBinding) bool {
	sound := true
	if !slices.Contains(roles, lodge.Role(r.Role)) {
		k.fault(object, "role", "role %q is none of administrator, organiser, technician, instructor, viewer", r.Role)
		sound = false
	}
	if len(r.Subjects) == 0 && len(r.Groups) == 0 && len(r.Claims) == 0 {
		k.fault(object, "subjects", "the role is given to nobody; name subjects, groups or claims")
		sound = false
	}
	sound = k.subjects(object, r.Subjects) && sound
	for _, rule := range r.Claims {
		if rule.Issuer == "" || rule.Claim == "" || rule.Value == "" {
			k.fault(object, "claims", "a claim rule needs issuer, claim and value")
			sound = false
		}
	}
	return k.scope(object, lodge.Scope(r.Scope)) && sound
}

func (k *checker) scope(object string, s lodge.Scope) bool {
	switch id := s.ID(); s.Kind() {
	case "tenant":
		if s == lodge.ScopeTenant {
			return true
		}
	case "group":
		return known(k, k.c.Groups, "groups", object, "scope", id)
	case "experiment":
		return known(k, k.c.Experiments, "experiments", object, "scope", id)
	case "policy":
		return known(k, k.c.Policies, "policies", object, "scope", id)
	case "pool":
		return known(k, k.c.Pools, "pools", object, "scope", id)
	}
	k.fault(object, "scope", "scope %q is neither tenant nor group:, experiment:, policy: or pool: with a name", s)
	return false
}
