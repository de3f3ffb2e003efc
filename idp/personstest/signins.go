package personstest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// testSignIns: what a sign-in gave is there to be explained, replaced by the next
// one of the same subject, and unknown to other tenants.
func testSignIns(t *testing.T, h Harness) {
	instructor := lodge.Binding{Role: lodge.RoleInstructor, Scope: "group:g"}
	viewer := lodge.Binding{Role: lodge.RoleViewer, Scope: lodge.ScopeTenant}
	who := ada
	who.At = time.Date(2026, 3, 1, 12, 0, 0, 123000, time.UTC)
	who.Bindings = []lodge.Binding{instructor, viewer}
	who.Reasons = []idp.Reason{
		{Claim: "groups", Value: "everyone", Group: "everyone"},
		{Claim: "groups", Value: "physics-1", Group: "physics-1"},
		{Rule: 1, Claim: "affiliation", Value: "staff", Binding: &instructor},
		{Rule: 2, Claim: "affiliation", Value: "staff", Binding: &viewer},
	}
	p := signIn(t, h.Store, here, who)
	if !slices.Equal(p.Bindings, who.Bindings) {
		t.Errorf("bindings %v, want %v", p.Bindings, who.Bindings)
	}
	want := idp.SignIn{Subject: idp.Subject{Issuer: "dev", Subject: "ada"}, At: who.At, Groups: who.Groups, Bindings: who.Bindings, Reasons: who.Reasons}
	got, err := h.Store.SignIns(t.Context(), here, p.ID)
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("SignIns = %+v, %v, want %+v", got, err, want)
	}
	_, err = h.Store.SignIns(t.Context(), there, p.ID)
	wantCode(t, err, lodge.CodeNotFound)

	who.Bindings, who.Reasons, who.Groups = nil, nil, nil
	if p = signIn(t, h.Store, here, who); len(p.Bindings) != 0 || len(p.Groups) != 0 {
		t.Errorf("what the institution took away is still there: %+v", p)
	}
	got, err = h.Store.SignIns(t.Context(), here, p.ID)
	if err != nil || len(got) != 1 || len(got[0].Bindings)+len(got[0].Reasons)+len(got[0].Groups) != 0 {
		t.Errorf("SignIns = %+v, %v, want nothing given", got, err)
	}
}
