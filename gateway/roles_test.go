package gateway_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/booking"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/internal/audit"
)

func binding(role, scope string) booking.RoleBinding {
	return booking.RoleBinding{Role: role, Scope: scope}
}

// Roles are given and taken live: for the sessions that are there, at once.
func TestRolesTakeEffectAtOnce(t *testing.T) {
	l := newLab(t)
	root, ada, grace := l.signedIn("root"), l.signedIn("ada"), l.signedIn("grace")
	state := gateway.ExperimentStateRequest{Online: false, Reason: "dust"}
	ada.refused(403, "PUT", "/api/v1/admin/experiments/pend02/state", state)

	given := call[gateway.RoleBindingView](root, 201, "POST", "/api/v1/admin/roles", gateway.RoleRequest{Person: ada.me().Person, RoleBinding: binding("technician", "experiment:pend02")})
	if !strings.HasPrefix(given.Name, "technician-") || !slices.Equal(given.Subjects, []string{"dev:ada"}) {
		t.Errorf("given: %+v", given)
	}
	call[gateway.ExperimentView](ada, 200, "PUT", "/api/v1/admin/experiments/pend02/state", state)
	list := call[gateway.RoleBindingsView](root, 200, "GET", "/api/v1/admin/roles", nil)
	if len(list.Roles) != 4 {
		t.Errorf("listed: %+v", list)
	}
	why := call[gateway.ExplanationView](root, 200, "GET", "/api/v1/admin/persons/"+ada.me().Person+"/explain", nil)
	if len(why.Roles) != 1 || why.Roles[0].Because[0].Catalogue != given.Name || why.Roles[0].Because[0].Subject != "dev:ada" {
		t.Errorf("explained: %+v", why.Roles)
	}
	if got := root.do("DELETE", "/api/v1/admin/roles/"+given.Name, nil); got.status != 204 {
		t.Fatalf("taken: %d %s", got.status, got.body)
	}
	ada.refused(403, "PUT", "/api/v1/admin/experiments/pend02/state", state)

	// By group, and what somebody hears follows.
	news := grace.messages()
	news.caughtUp()
	call[gateway.RoleBindingView](root, 201, "POST", "/api/v1/admin/roles", gateway.RoleRequest{Name: "staff", RoleBinding: booking.RoleBinding{Role: "technician", Scope: "pool:pendulums", Groups: []string{"staff"}}})
	call[gateway.ExperimentView](root, 200, "PUT", "/api/v1/admin/experiments/pend01/state", state)
	news.await("the experiment of the role", func(e event) bool { return e.Type == "lodge.experiment" && e.Topic == "experiment:pend01" })
	if me := grace.me(); !slices.Contains(me.Roles, gateway.RoleView{Role: "technician", Scope: "experiment:pend01"}) {
		t.Errorf("roles: %+v", me.Roles)
	}
	actor := "person:" + root.me().Person
	l.recorded(audit.RoleBind, actor, "role:staff")
	l.recorded(audit.RoleUnbind, actor, "role:"+given.Name)
}

func TestRoleRefusals(t *testing.T) {
	l := newLab(t)
	root, linus := l.signedIn("root"), l.signedIn("linus")
	const path = "/api/v1/admin/roles"
	ok := gateway.RoleRequest{RoleBinding: booking.RoleBinding{Role: "viewer", Scope: "tenant", Subjects: []string{"dev:ada"}}}
	linus.refused(403, "POST", path, ok)
	linus.refused(403, "GET", path, nil)
	linus.refused(403, "DELETE", path+"/root", nil)
	root.refused(404, "DELETE", path+"/gone", nil)
	root.refused(422, "DELETE", path+"/root", nil) // one's own administration
	for want, change := range map[int][]func(*gateway.RoleRequest){
		422: {
			func(r *gateway.RoleRequest) { r.Subjects = nil },
			func(r *gateway.RoleRequest) { r.Scope = "experiment:gone" },
			func(r *gateway.RoleRequest) { r.Person = "nobody" },
			func(r *gateway.RoleRequest) { r.Name = "with space" },
			func(r *gateway.RoleRequest) { r.Claims = []booking.ClaimRule{{Issuer: "dev"}} },
		},
		409: {func(r *gateway.RoleRequest) { r.Name = "grace" }},
	} {
		for i, fn := range change {
			r := ok
			fn(&r)
			if got := root.do("POST", path, r); got.status != want {
				t.Errorf("%d.%d: %d %s", want, i, got.status, got.body)
			}
		}
	}
	// Who only looks may list, and take the catalogue as a file, and change nothing.
	l.grant("ada-views", "viewer", "tenant", "ada")
	ada := l.signedIn("ada")
	call[gateway.RoleBindingsView](ada, 200, "GET", path, nil)
	if got := ada.do("GET", "/api/v1/admin/catalogue/export", nil); got.status != 200 || !strings.Contains(string(got.body), "roles:") {
		t.Errorf("a viewer's file: %d %s", got.status, got.body)
	}
	ada.refused(403, "POST", path, ok)
	ada.mayNotApply("descriptions: {pend00: {title: Mine}}")
	// Giving roles takes a fresh proof of who does, by a file too.
	l.clock.pass(20 * time.Minute)
	root.refused(401, "POST", path, ok)
	root.refused(401, "POST", "/api/v1/admin/catalogue/apply", manifest("roles: {v: {role: viewer, scope: tenant, subjects: ['dev:ada']}}"), ifMatch("*"))
	root.applies("descriptions: {pend00: {title: Another}}")
}

// A role by what the issuer says holds from the sign-in at which it said so, and is
// gone with the binding.
func TestRolesByClaim(t *testing.T) {
	w := newIDWorld(t, idOptions{provider: func(c *idptest.Config) {
		c.Faults.Claims = func(claims map[string]any) {
			if claims["sub"] == "grace" {
				claims["realm"] = map[string]any{"roles": []string{"member", "lab-staff"}}
			}
		}
	}})
	bind := func(name string) {
		_, err := w.desk.ApplyChange(t.Context(), lodge.DefaultTenant, booking.Change{Put: booking.Catalogue{Roles: map[string]booking.RoleBinding{
			name: {Role: "technician", Scope: "experiment:" + name, Claims: []booking.ClaimRule{{Issuer: "dev", Claim: "/realm/roles", Value: "lab-staff"}}},
		}}}, booking.Decision{})
		if err != nil {
			t.Fatal(err)
		}
	}
	has := func(b *idBrowser, experiment string) bool {
		return slices.Contains(idGet[gateway.Me](b, "/api/v1/me").Roles, gateway.RoleView{Role: "technician", Scope: "experiment:" + experiment})
	}
	bind("pend00")
	grace, ada, root := w.signedIn("grace"), w.signedIn("ada"), w.signedIn("root")
	if !has(grace, "pend00") || has(ada, "pend00") {
		t.Error("the claim gives no role, or gives it to everybody")
	}
	bind("pend01") // what was noted of the claim counts at once
	if !has(grace, "pend01") {
		t.Error("another role by the same claim is not there")
	}
	view := idGet[gateway.ExplanationView](root, "/api/v1/admin/persons/"+idGet[gateway.Me](grace, "/api/v1/me").Person+"/explain")
	i := slices.IndexFunc(view.Roles, func(r gateway.RoleBecause) bool { return r.Scope == "experiment:pend00" })
	if i < 0 || view.Roles[i].Because[0].Claim != "/realm/roles" || view.Roles[i].Because[0].Value != "lab-staff" || view.Roles[i].Because[0].Catalogue != "pend00" {
		t.Errorf("explained: %+v", view.Roles)
	}
	_, err := w.desk.ApplyChange(t.Context(), lodge.DefaultTenant, booking.Change{Remove: []booking.ObjectID{{Kind: "roles", Name: "pend00"}}}, booking.Decision{})
	if err != nil || has(grace, "pend00") {
		t.Errorf("taken back: %v", err)
	}
}
