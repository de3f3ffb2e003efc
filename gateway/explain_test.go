package gateway_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func TestExplainSaysWhyAPersonHasARole(t *testing.T) {
	w := newIDWorld(t, idOptions{
		issuer: func(c *idp.IssuerConfig) {
			c.Rules = []idp.Rule{{
				Claim: "eduperson_affiliation", Match: idp.Equals, Value: "faculty",
				Groups: []string{"teachers"}, Roles: []lodge.Binding{{Role: lodge.RoleViewer, Scope: "group:physics-1"}},
			}}
		},
		provider: func(c *idptest.Config) {
			c.Faults.Claims = func(claims map[string]any) {
				if claims["sub"] == "grace" {
					claims["eduperson_affiliation"] = []string{"member", "faculty"}
				}
			}
		},
	})
	grace, root, ada := w.signedIn("grace"), w.signedIn("root"), w.signedIn("ada")
	me := idGet[gateway.Me](grace, "/api/v1/me")
	if !slices.Contains(me.Groups, "teachers") || !slices.Contains(me.Roles, gateway.RoleView{Role: "viewer", Scope: "group:physics-1"}) {
		t.Errorf("what the rule gives is missing: %+v", me)
	}

	path := "/api/v1/admin/persons/" + me.Person + "/explain"
	view := idGet[gateway.ExplanationView](root, path)
	if len(view.SignIns) != 1 || view.SignIns[0].Issuer != "dev" || view.SignIns[0].Subject != "grace" || view.SignIns[0].At.IsZero() {
		t.Errorf("sign-ins: %+v", view.SignIns)
	}
	for _, group := range me.Groups {
		i := slices.IndexFunc(view.Groups, func(g gateway.GroupBecause) bool { return g.Group == group })
		if i < 0 || len(view.Groups[i].Because) == 0 {
			t.Fatalf("group %s is not explained: %+v", group, view.Groups)
		}
		because, rule := view.Groups[i].Because[0], 0
		if group == "teachers" {
			rule = 1
		}
		if because.Rule == nil || *because.Rule != rule || because.Claim == "" || because.Value == "" {
			t.Errorf("group %s because %+v", group, because)
		}
	}
	for _, role := range me.Roles {
		i := slices.IndexFunc(view.Roles, func(r gateway.RoleBecause) bool { return r.RoleView == role })
		if i < 0 || len(view.Roles[i].Because) == 0 {
			t.Fatalf("role %v is not explained: %+v", role, view.Roles)
		}
		because := view.Roles[i].Because[0]
		fromRule := because.Rule != nil && because.Claim == "eduperson_affiliation" && because.Value == "faculty"
		fromCatalogue := because.Catalogue != "" && (because.Group != "" || because.Subject == "dev:grace")
		if fromRule == fromCatalogue {
			t.Errorf("role %v because %+v", role, because)
		}
	}

	if status := ada.status(path); status != http.StatusForbidden {
		t.Errorf("a student may read it: %d", status)
	}
	if status := w.browser().status(path); status != http.StatusUnauthorized {
		t.Errorf("anybody may read it: %d", status)
	}
	if status := root.status("/api/v1/admin/persons/nobody/explain"); status != http.StatusNotFound {
		t.Errorf("somebody unknown is explained: %d", status)
	}
}
