package personstest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

var mergedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func merge(t *testing.T, s idp.Store, from, into lodge.PersonID) idp.Merge {
	t.Helper()
	m, err := s.Merge(t.Context(), idp.Merge{Tenant: here, From: from, Into: into, By: "root", At: mergedAt})
	if err != nil {
		t.Fatalf("Merge(%s, %s): %v", from, into, err)
	}
	return m
}

func unmerge(t *testing.T, s idp.Store, from lodge.PersonID) idp.Merge {
	t.Helper()
	m, err := s.Unmerge(t.Context(), here, from, "root", mergedAt.Add(time.Hour))
	if err != nil {
		t.Fatalf("Unmerge(%s): %v", from, err)
	}
	return m
}

func wantMerged(t *testing.T, s idp.Store, want lodge.Merged) {
	t.Helper()
	if got, err := s.Merged(t.Context(), here); err != nil || !maps.Equal(got, want) {
		t.Errorf("Merged = %v, %v, want %v", got, err, want)
	}
}

func testMerge(t *testing.T, h Harness) {
	ctx, p, q := t.Context(), signIn(t, h.Store, here, ada), signIn(t, h.Store, here, second)
	elsewhere := signIn(t, h.Store, there, second)
	m := merge(t, h.Store, q.ID, p.ID)
	if want := (idp.Merge{Tenant: here, From: q.ID, Into: p.ID, By: "root", At: mergedAt}); m != want {
		t.Errorf("Merge = %+v, want %+v", m, want)
	}
	want := p
	want.Groups = []string{"everyone", "guild", "physics-1"}
	want.Bindings = second.Bindings
	want.Subjects = []idp.Subject{{Issuer: "dev", Subject: "ada"}, {Issuer: "guild", Subject: "al"}}
	if got := get(t, h.Store, p.ID); !equal(got, want) {
		t.Errorf("the survivor is %+v, want %+v", got, want)
	}
	gone := idp.Person{ID: q.ID, Tenant: here, Name: q.Name, FamilyName: q.FamilyName, MergedInto: p.ID}
	if got := get(t, h.Store, q.ID); !equal(got, gone) {
		t.Errorf("the merged one is %+v, want %+v", got, gone)
	}
	if got := signIn(t, h.Store, here, second); !equal(got, want) {
		t.Errorf("the merged one's subject signs in %+v, want %+v", got, want)
	}
	if got, err := h.Store.Find(ctx, here, "guild", "al"); err != nil || got.ID != p.ID {
		t.Errorf("Find = %+v, %v", got, err)
	}
	for _, group := range []string{"everyone", "guild", "physics-1"} {
		if got, err := h.Store.InGroup(ctx, here, group); err != nil || len(got) != 1 || got[0].ID != p.ID {
			t.Errorf("InGroup(%s) = %+v, %v, want the survivor alone", group, got, err)
		}
	}
	if got, err := h.Store.SignIns(ctx, here, p.ID); err != nil || len(got) != 2 {
		t.Errorf("the survivor's sign-ins are %+v, %v", got, err)
	}
	if got, err := h.Store.SignIns(ctx, here, q.ID); err != nil || len(got) != 0 {
		t.Errorf("the merged one's sign-ins are %+v, %v", got, err)
	}
	wantMerged(t, h.Store, lodge.Merged{q.ID: p.ID})
	if got, err := h.Store.Merged(ctx, there); err != nil || len(got) != 0 {
		t.Errorf("the other tenant has %v, %v", got, err)
	}
	if got, err := h.Store.Get(ctx, there, elsewhere.ID); err != nil || len(got) != 1 || !equal(got[0], elsewhere) {
		t.Errorf("the other tenant's is %+v, %v", got, err)
	}
	// Barring either bars the subject.
	for _, id := range []lodge.PersonID{p.ID, q.ID} {
		if err := h.Store.SetDisabled(ctx, here, id, true); err != nil {
			t.Fatal(err)
		}
		_, err := h.Store.SignedIn(ctx, here, second)
		wantErr(t, err, lodge.CodeForbidden, idp.ErrDisabled)
		if err := h.Store.SetDisabled(ctx, here, id, false); err != nil {
			t.Fatal(err)
		}
	}
	wantMerged(t, h.Reopen(), lodge.Merged{q.ID: p.ID})
}

// testUnmerge: each has what they had, and what came since: a subject that was
// linked to the survivor stays there, what the other's issuer says goes with it.
func testUnmerge(t *testing.T, h Harness) {
	ctx, p, q := t.Context(), signIn(t, h.Store, here, ada), signIn(t, h.Store, here, second)
	merge(t, h.Store, q.ID, p.ID)
	later := second
	later.Name, later.Groups = "Al King", []string{"masters"}
	signIn(t, h.Store, here, later)
	if _, err := h.Store.Link(ctx, here, p.ID, idp.Identity{Issuer: "club", Subject: "a"}); err != nil {
		t.Fatal(err)
	}
	m := unmerge(t, h.Store, q.ID)
	if m.From != q.ID || m.Into != p.ID || !m.Undone.Equal(mergedAt.Add(time.Hour)) || !m.At.Equal(mergedAt) {
		t.Errorf("Unmerge = %+v", m)
	}
	want := p
	want.Subjects = []idp.Subject{{Issuer: "club", Subject: "a"}, {Issuer: "dev", Subject: "ada"}}
	if got := get(t, h.Store, p.ID); !equal(got, want) {
		t.Errorf("the survivor is %+v, want %+v", got, want)
	}
	want = q
	want.Name, want.Groups = "Al King", []string{"masters"}
	if got := get(t, h.Store, q.ID); !equal(got, want) {
		t.Errorf("the other is %+v, want %+v", got, want)
	}
	wantMerged(t, h.Store, nil)
	_, err := h.Store.Unmerge(ctx, here, q.ID, "root", mergedAt)
	wantErr(t, err, lodge.CodeConflict, idp.ErrNotMerged)
	_, err = h.Store.Unmerge(ctx, here, "nobody", "root", mergedAt)
	wantErr(t, err, lodge.CodeNotFound, idp.ErrUnknown)
	merge(t, h.Store, q.ID, p.ID) // and once more
	wantMerged(t, h.Store, lodge.Merged{q.ID: p.ID})
}

func testChains(t *testing.T, h Harness) {
	var id []lodge.PersonID
	for _, subject := range []string{"a", "b", "c", "d"} {
		id = append(id, signIn(t, h.Store, here, idp.Identity{Issuer: "dev", Subject: subject}).ID)
	}
	a, b, c, d := id[0], id[1], id[2], id[3]
	merge(t, h.Store, a, b)
	merge(t, h.Store, b, c)
	if m := merge(t, h.Store, d, a); m.Into != c {
		t.Errorf("merged into %s, want %s, as whom that person counts", m.Into, c)
	}
	wantMerged(t, h.Store, lodge.Merged{a: c, b: c, d: c})
	_, err := h.Store.Merge(t.Context(), idp.Merge{Tenant: here, From: c, Into: a, At: mergedAt})
	wantErr(t, err, lodge.CodeRefused, idp.ErrSamePerson)

	if m := unmerge(t, h.Store, b); m.Into != c { // takes along who was merged into it
		t.Errorf("un-merged from %s, want %s", m.Into, c)
	}
	wantMerged(t, h.Store, lodge.Merged{a: b, d: c})
	merge(t, h.Store, b, c)
	if m := unmerge(t, h.Store, a); m.Into != c {
		t.Errorf("un-merged from %s, want %s", m.Into, c)
	}
	wantMerged(t, h.Store, lodge.Merged{b: c, d: c})
	unmerge(t, h.Store, b)
	unmerge(t, h.Store, d)
	wantMerged(t, h.Store, nil)
}

func testMergeRefusals(t *testing.T, h Harness) {
	ctx, p, q := t.Context(), signIn(t, h.Store, here, ada), signIn(t, h.Store, here, second)
	elsewhere := signIn(t, h.Store, there, grace)
	guest, err := h.Store.Guest(ctx, here, idp.NewPersonID(), "Guest", "Guest")
	if err != nil {
		t.Fatal(err)
	}
	merge(t, h.Store, q.ID, p.ID)
	third := signIn(t, h.Store, here, grace)
	for name, c := range map[string]struct {
		m     idp.Merge
		code  lodge.Code
		cause error
	}{
		"themselves":            {idp.Merge{From: p.ID, Into: p.ID}, lodge.CodeRefused, idp.ErrSamePerson},
		"in a circle":           {idp.Merge{From: p.ID, Into: q.ID}, lodge.CodeRefused, idp.ErrSamePerson},
		"twice":                 {idp.Merge{From: q.ID, Into: third.ID}, lodge.CodeConflict, idp.ErrMerged},
		"into nobody":           {idp.Merge{From: p.ID, Into: "nobody"}, lodge.CodeNotFound, idp.ErrUnknown},
		"nobody":                {idp.Merge{From: "nobody", Into: p.ID}, lodge.CodeNotFound, idp.ErrUnknown},
		"of another tenant":     {idp.Merge{From: elsewhere.ID, Into: p.ID}, lodge.CodeNotFound, idp.ErrUnknown},
		"into another tenant":   {idp.Merge{From: p.ID, Into: elsewhere.ID}, lodge.CodeNotFound, idp.ErrUnknown},
		"a person into a guest": {idp.Merge{From: third.ID, Into: guest.ID}, lodge.CodeRefused, idp.ErrIntoGuest},
		"a claim of a person":   {idp.Merge{From: third.ID, Into: p.ID, Claim: true}, lodge.CodeRefused, idp.ErrNotGuest},
	} {
		c.m.Tenant, c.m.At = here, mergedAt
		if _, err := h.Store.Merge(ctx, c.m); err == nil {
			t.Errorf("%s: merged", name)
		} else {
			wantErr(t, err, c.code, c.cause)
		}
	}
	wantMerged(t, h.Store, lodge.Merged{q.ID: p.ID})
	_, err = h.Store.Link(ctx, here, q.ID, idp.Identity{Issuer: "x", Subject: "y"})
	wantErr(t, err, lodge.CodeConflict, idp.ErrMerged)
}

func testClaim(t *testing.T, h Harness) {
	ctx, p := t.Context(), signIn(t, h.Store, here, ada)
	guest := func() lodge.PersonID {
		g, err := h.Store.Guest(ctx, here, idp.NewPersonID(), "Ada L.", "Lovelace")
		if err != nil {
			t.Fatal(err)
		}
		return g.ID
	}
	first, barred := guest(), guest()
	m, err := h.Store.Merge(ctx, idp.Merge{Tenant: here, From: first, Into: p.ID, Claim: true, By: p.ID, At: mergedAt})
	if err != nil || !m.Claim {
		t.Fatalf("claim: %+v, %v", m, err)
	}
	if got := get(t, h.Store, first); !got.Guest || got.MergedInto != p.ID {
		t.Errorf("the claimed guest is %+v", got)
	}
	if got := get(t, h.Store, p.ID); !equal(got, p) {
		t.Errorf("who claimed is %+v, want %+v", got, p)
	}
	if err := h.Store.SetDisabled(ctx, here, barred, true); err != nil {
		t.Fatal(err)
	}
	_, err = h.Store.Merge(ctx, idp.Merge{Tenant: here, From: barred, Into: p.ID, Claim: true, By: p.ID, At: mergedAt})
	wantErr(t, err, lodge.CodeForbidden, idp.ErrDisabled)
	merge(t, h.Store, barred, p.ID) // an administrator may
}

func testSettled(t *testing.T, h Harness) {
	ctx := t.Context()
	p, q, third := signIn(t, h.Store, here, ada), signIn(t, h.Store, here, second), signIn(t, h.Store, here, grace)
	unsettled := func(want ...idp.Merge) {
		t.Helper()
		if got, err := h.Store.Unsettled(ctx); err != nil || !slices.Equal(got, want) {
			t.Errorf("Unsettled = %+v, %v, want %+v", got, err, want)
		}
	}
	unsettled()
	one, two := merge(t, h.Store, q.ID, p.ID), merge(t, h.Store, third.ID, p.ID)
	unsettled(one, two)
	for range 2 {
		if err := h.Store.Settled(ctx, one); err != nil {
			t.Fatal(err)
		}
	}
	unsettled(two)
	undone := unmerge(t, h.Store, third.ID) // overtakes what was to be done
	unsettled(undone)
	if err := h.Store.Settled(ctx, two); err != nil {
		t.Fatal(err)
	}
	unsettled(undone)
	h.Store = h.Reopen()
	unsettled(undone)
	if err := h.Store.Settled(ctx, undone); err != nil {
		t.Fatal(err)
	}
	unsettled()
}
