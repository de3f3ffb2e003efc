package personstest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

var (
	second = idp.Identity{Issuer: "guild", Subject: "al", Name: "A. King", FamilyName: "King", Groups: []string{"guild", "everyone"},
		Bindings: []lodge.Binding{{Role: lodge.RoleViewer, Scope: lodge.ScopeTenant}}}
	grace = idp.Identity{Issuer: "dev", Subject: "grace", Name: "Grace Hopper", FamilyName: "Hopper", Groups: []string{"staff"}}
)

// wantErr expects an error of a code that wraps what the contract names.
func wantErr(t *testing.T, err error, code lodge.Code, cause error) {
	t.Helper()
	wantCode(t, err, code)
	if !errors.Is(err, cause) {
		t.Errorf("error %v is not %v", err, cause)
	}
}

func get(t *testing.T, s idp.Store, id lodge.PersonID) idp.Person {
	t.Helper()
	got, err := s.Get(t.Context(), here, id)
	if err != nil || len(got) != 1 {
		t.Fatalf("Get(%s) = %+v, %v", id, got, err)
	}
	return got[0]
}

func testLink(t *testing.T, h Harness) {
	ctx, p := t.Context(), signIn(t, h.Store, here, ada)
	want := p
	want.Groups = []string{"everyone", "guild", "physics-1"}
	want.Bindings = second.Bindings
	want.Subjects = []idp.Subject{{Issuer: "dev", Subject: "ada"}, {Issuer: "guild", Subject: "al"}}
	for range 2 {
		if got, err := h.Store.Link(ctx, here, p.ID, second); err != nil || !equal(got, want) {
			t.Fatalf("Link = %+v, %v, want %+v", got, err, want)
		}
	}
	if got := signIn(t, h.Store, here, second); got.ID != p.ID {
		t.Errorf("the linked subject signs in %s, want %s", got.ID, p.ID)
	}
	if got := signIn(t, h.Store, there, second); got.ID == p.ID {
		t.Error("the link reaches into another tenant")
	}

	// Somebody else's stays theirs.
	other := signIn(t, h.Store, here, grace)
	_, err := h.Store.Link(ctx, here, other.ID, second)
	wantErr(t, err, lodge.CodeConflict, idp.ErrLinked)
	if got := get(t, h.Store, other.ID); !equal(got, other) {
		t.Errorf("a refused link left %+v", got)
	}
	_, err = h.Store.Link(ctx, here, "nobody", idp.Identity{Issuer: "x", Subject: "y"})
	wantErr(t, err, lodge.CodeNotFound, idp.ErrUnknown)
	_, err = h.Store.Link(ctx, here, p.ID, idp.Identity{Issuer: "x"})
	wantCode(t, err, lodge.CodeInvalid)

	// Only one's own subject is unlinked, and never the last one.
	_, err = h.Store.Unlink(ctx, here, other.ID, idp.Subject{Issuer: "guild", Subject: "al"})
	wantErr(t, err, lodge.CodeNotFound, idp.ErrUnknown)
	_, err = h.Store.Unlink(ctx, here, p.ID, idp.Subject{Issuer: "guild", Subject: "nobody"})
	wantErr(t, err, lodge.CodeNotFound, idp.ErrUnknown)
	left, err := h.Store.Unlink(ctx, here, p.ID, idp.Subject{Issuer: "dev", Subject: "ada"})
	if err != nil || !slices.Equal(left.Groups, []string{"everyone", "guild"}) || len(left.Subjects) != 1 {
		t.Errorf("Unlink = %+v, %v, want what the other subject gave", left, err)
	}
	_, err = h.Store.Unlink(ctx, here, p.ID, idp.Subject{Issuer: "guild", Subject: "al"})
	wantErr(t, err, lodge.CodeRefused, idp.ErrLastSubject)
	if got := signIn(t, h.Store, here, ada); got.ID == p.ID {
		t.Error("the unlinked subject still signs the person in")
	}

	if err := h.Store.SetDisabled(ctx, here, p.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err = h.Store.Link(ctx, here, p.ID, idp.Identity{Issuer: "x", Subject: "y"})
	wantErr(t, err, lodge.CodeForbidden, idp.ErrDisabled)
}

func testLinkRace(t *testing.T, h Harness) {
	ctx, people := t.Context(), []idp.Person{signIn(t, h.Store, here, ada), signIn(t, h.Store, here, grace)}
	var wg sync.WaitGroup
	won := make([]bool, 16)
	for i := range won {
		wg.Go(func() {
			_, err := h.Store.Link(ctx, here, people[i%2].ID, second)
			won[i] = err == nil
			if err != nil && !errors.Is(err, idp.ErrLinked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	owner, err := h.Store.Find(ctx, here, second.Issuer, second.Subject)
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range won {
		if ok != (people[i%2].ID == owner.ID) {
			t.Errorf("link %d to %s: %v, and the subject is %s's", i, people[i%2].ID, ok, owner.ID)
		}
	}
}
