package personstest

import (
	"errors"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// testErase: of an erased person nothing is left but the id.
func testErase(t *testing.T, h Harness) {
	s := h.Store
	ctx := t.Context()
	who := idp.Identity{Issuer: "dev", Subject: "ada", Name: "Ada Lovelace", FamilyName: "Lovelace", Email: "ada@example.org", Groups: []string{"maths"}}
	ada, err := s.SignedIn(ctx, here, who)
	if err != nil {
		t.Fatal(err)
	}
	guest, err := s.Guest(ctx, here, idp.NewPersonID(), "A. L.", "Lovelace")
	if err != nil {
		t.Fatal(err)
	}
	merge(t, s, guest.ID, ada.ID)
	same, err := s.SignedIn(ctx, "elsewhere", who)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Erase(ctx, here, ada.ID, guest.ID, "never there"); err != nil {
			t.Fatal(err)
		}
	}
	found, err := s.Get(ctx, here, ada.ID, guest.ID)
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, p := range found {
		if p.Name != "" || p.FamilyName != "" || p.Email != "" || len(p.Subjects) != 0 || len(p.Groups) != 0 || len(p.Bindings) != 0 || !p.Disabled {
			t.Errorf("left: %+v", p)
		}
	}
	wantMerged(t, s, lodge.Merged{guest.ID: ada.ID})
	if members, err := s.InGroup(ctx, here, "maths"); err != nil || len(members) != 0 {
		t.Errorf("in the group: %+v, %v", members, err)
	}
	if _, err := s.Find(ctx, here, "dev", "ada"); !errors.Is(err, idp.ErrUnknown) {
		t.Errorf("the account is known: %v", err)
	}
	if again, err := s.SignedIn(ctx, here, who); err != nil || again.ID == ada.ID || again.Name != "Ada Lovelace" {
		t.Errorf("signing in again: %+v, %v; want somebody new", again, err)
	}
	if other, err := s.Get(ctx, "elsewhere", same.ID); err != nil || len(other) != 1 || other[0].Name == "" {
		t.Errorf("in another tenant: %+v, %v", other, err)
	}
}
