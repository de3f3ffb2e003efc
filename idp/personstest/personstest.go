// Package personstest is the conformance suite of idp.Store: every storage that
// keeps persons runs it, against the real thing.
package personstest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// A Harness is an empty store and what can happen to it.
type Harness struct {
	Store  idp.Store
	Break  func()           // makes the storage unreachable
	Reopen func() idp.Store // ends the process that holds it, in effect, and starts another
}

const (
	here  lodge.Tenant = "here"
	there lodge.Tenant = "there"
)

var ada = idp.Identity{
	Issuer: "dev", Subject: "ada", Name: "Ada Lovelace", FamilyName: "Lovelace",
	Email: "ada@example.org", Groups: []string{"everyone", "physics-1"},
}

// Run runs the suite; open returns a new, empty store each time.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"FirstSignInMakesAPerson", testFirst},
		{"LaterSignInUpdates", testUpdates},
		{"AbsentClaimsLeaveWhatIsKnown", testAbsent},
		{"TestSec21_PersonIsIssuerAndSubject", testIdentity},
		{"FirstSignInsThatRaceMakeOnePerson", testRace},
		{"TestSec10_DisabledIsRefused", testDisabled},
		{"TestSec32_TenantsAreApart", testTenants},
		{"SignInsSayWhatEachGaveAndWhy", testSignIns},
		{"LinkAndUnlink", testLink},
		{"LinksThatRaceGiveASubjectToOne", testLinkRace},
		{"MergedCountAsOne", testMerge},
		{"UnmergeGivesBackWhatWasThere", testUnmerge},
		{"ChainsOfMerges", testChains},
		{"MergeRefusals", testMergeRefusals},
		{"ClaimOfAGuest", testClaim},
		{"MergesAreSettled", testSettled},
		{"TestSec45_ErasedIsNobody", testErase},
		{"GetKeepsOrderAndLeavesOutUnknown", testGet},
		{"Guests", testGuests},
		{"InGroup", testInGroup},
		{"ListPages", testList},
		{"UnknownIsNotFound", testUnknown},
		{"IncompleteIdentityIsInvalid", testIncomplete},
		{"UnreachableIsUnavailable", testBroken},
		{"SurvivesARestart", testReopen},
		{"Mailboxes", testMailboxes},
		{"JoinCodes", testJoinCodes},
		{"JoinCodesOfFiles", testJoinCodesOfFiles},
		{"UseLimitsHold", testUseLimits},
		{"Memberships", testMemberships},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func signIn(t *testing.T, s idp.Store, tenant lodge.Tenant, who idp.Identity) idp.Person {
	t.Helper()
	p, err := s.SignedIn(t.Context(), tenant, who)
	if err != nil {
		t.Fatalf("SignedIn(%s, %s/%s): %v", tenant, who.Issuer, who.Subject, err)
	}
	return p
}

func equal(a, b idp.Person) bool {
	groups, subjects := slices.Equal(a.Groups, b.Groups), slices.Equal(a.Subjects, b.Subjects)
	return groups && subjects && slices.Equal(a.Bindings, b.Bindings) && a.ID == b.ID && a.Tenant == b.Tenant && a.Name == b.Name &&
		a.FamilyName == b.FamilyName && a.Email == b.Email && a.Guest == b.Guest && a.Disabled == b.Disabled && a.MergedInto == b.MergedInto
}

func wantCode(t *testing.T, err error, code lodge.Code) {
	t.Helper()
	if got := lodge.CodeOf(err); got != code {
		t.Errorf("error %v has code %q, want %q", err, got, code)
	}
}

func testFirst(t *testing.T, h Harness) {
	p := signIn(t, h.Store, here, ada)
	want := idp.Person{
		ID: p.ID, Tenant: here, Name: ada.Name, FamilyName: ada.FamilyName, Email: ada.Email,
		Groups: ada.Groups, Subjects: []idp.Subject{{Issuer: "dev", Subject: "ada"}},
	}
	if p.ID == "" || !equal(p, want) {
		t.Errorf("SignedIn = %+v, want %+v with an id", p, want)
	}
	found, err := h.Store.Find(t.Context(), here, "dev", "ada")
	if err != nil || !equal(found, want) {
		t.Errorf("Find = %+v, %v, want %+v", found, err, want)
	}
	if again := signIn(t, h.Store, here, ada); !equal(again, want) {
		t.Errorf("second SignedIn = %+v, want the same person", again)
	}
}

func testUpdates(t *testing.T, h Harness) {
	first := signIn(t, h.Store, here, ada)
	changed := ada
	changed.Name, changed.FamilyName, changed.Email = "Ada King", "King", "king@example.org"
	changed.Groups = []string{"physics-2", "everyone", "everyone"} // unsorted, repeated
	p := signIn(t, h.Store, here, changed)
	want := first
	want.Name, want.FamilyName, want.Email = "Ada King", "King", "king@example.org"
	want.Groups = []string{"everyone", "physics-2"}
	if !equal(p, want) {
		t.Errorf("after the change: %+v, want %+v", p, want)
	}
	if left, err := h.Store.InGroup(t.Context(), here, "physics-1"); err != nil || len(left) != 0 {
		t.Errorf("the group that was left still has %+v (%v)", left, err)
	}
}

func testAbsent(t *testing.T, h Harness) {
	first := signIn(t, h.Store, here, ada)
	p := signIn(t, h.Store, here, idp.Identity{Issuer: "dev", Subject: "ada"})
	want := first
	want.Groups = nil
	if !equal(p, want) {
		t.Errorf("after a sign-in without claims: %+v, want %+v", p, want)
	}
}

func testIdentity(t *testing.T, h Harness) {
	first := signIn(t, h.Store, here, ada)
	for _, other := range []struct{ issuer, subject string }{
		{"dev", "ADA"}, {"dev", "ada "}, {"dev2", "ada"}, {"DEV", "ada"}, {"dev", "ada\x00"}, {"de", "vada"},
	} {
		who := ada // the same name and e-mail address
		who.Issuer, who.Subject = other.issuer, other.subject
		if p := signIn(t, h.Store, here, who); p.ID == first.ID {
			t.Errorf("(%q, %q) is taken for (dev, ada)", other.issuer, other.subject)
		}
	}
}

func testRace(t *testing.T, h Harness) {
	const parallel = 32
	ids := make([]lodge.PersonID, parallel)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range parallel {
		wg.Go(func() {
			<-start
			p, err := h.Store.SignedIn(t.Context(), here, ada)
			if err != nil {
				t.Error(err)
			}
			ids[i] = p.ID
		})
	}
	close(start)
	wg.Wait()
	slices.Sort(ids)
	if unique := slices.Compact(ids); len(unique) != 1 {
		t.Errorf("one subject became %d persons", len(unique))
	}
	if all, err := h.Store.List(t.Context(), here, "", 10); err != nil || len(all) != 1 {
		t.Errorf("%d persons are stored (%v), want 1", len(all), err)
	}
}

func testDisabled(t *testing.T, h Harness) {
	p := signIn(t, h.Store, here, ada)
	if err := h.Store.SetDisabled(t.Context(), here, p.ID, true); err != nil {
		t.Fatal(err)
	}
	changed := ada
	changed.Name, changed.Groups = "Eve", []string{"staff"}
	_, err := h.Store.SignedIn(t.Context(), here, changed)
	wantCode(t, err, lodge.CodeForbidden)
	if !errors.Is(err, idp.ErrDisabled) {
		t.Errorf("error %v is not ErrDisabled", err)
	}
	want := p
	want.Disabled = true
	if got, err := h.Store.Find(t.Context(), here, "dev", "ada"); err != nil || !equal(got, want) {
		t.Errorf("a refused sign-in left %+v (%v), want %+v", got, err, want)
	}
	if members, err := h.Store.InGroup(t.Context(), here, "everyone"); err != nil || len(members) != 0 {
		t.Errorf("a disabled person is counted in: %+v (%v)", members, err)
	}
	if err := h.Store.SetDisabled(t.Context(), here, p.ID, false); err != nil {
		t.Fatal(err)
	}
	if again := signIn(t, h.Store, here, ada); !equal(again, p) {
		t.Errorf("let in again: %+v, want %+v", again, p)
	}
}

func testTenants(t *testing.T, h Harness) {
	a, b := signIn(t, h.Store, here, ada), signIn(t, h.Store, there, ada)
	if a.ID == b.ID {
		t.Error("two tenants share a person")
	}
	if got, err := h.Store.Get(t.Context(), here, b.ID); err != nil || len(got) != 0 {
		t.Errorf("Get sees the other tenant's %+v (%v)", got, err)
	}
	wantCode(t, h.Store.SetDisabled(t.Context(), here, b.ID, true), lodge.CodeNotFound)
	for _, tenant := range []lodge.Tenant{here, there} {
		members, err := h.Store.InGroup(t.Context(), tenant, "everyone")
		if err != nil || len(members) != 1 || members[0].Tenant != tenant {
			t.Errorf("InGroup of %s = %+v (%v)", tenant, members, err)
		}
		all, err := h.Store.List(t.Context(), tenant, "", 10)
		if err != nil || len(all) != 1 || all[0].Tenant != tenant {
			t.Errorf("List of %s = %+v (%v)", tenant, all, err)
		}
	}
	_, err := h.Store.Find(t.Context(), "nowhere", "dev", "ada")
	wantCode(t, err, lodge.CodeNotFound)
}

func testGet(t *testing.T, h Harness) {
	a := signIn(t, h.Store, here, ada)
	b := signIn(t, h.Store, here, idp.Identity{Issuer: "dev", Subject: "grace", Name: "Grace Hopper"})
	for _, ids := range [][]lodge.PersonID{{a.ID, b.ID}, {b.ID, a.ID}, {"no such", b.ID}, {}} {
		got, err := h.Store.Get(t.Context(), here, ids...)
		if err != nil {
			t.Fatal(err)
		}
		var want []lodge.PersonID
		for _, id := range ids {
			if id != "no such" {
				want = append(want, id)
			}
		}
		if !slices.EqualFunc(got, want, func(p idp.Person, id lodge.PersonID) bool { return p.ID == id }) {
			t.Errorf("Get(%v) = %+v", ids, got)
		}
	}
}

func testGuests(t *testing.T, h Harness) {
	a, err := h.Store.Guest(t.Context(), here, idp.NewPersonID(), "Søren Ó Briain", "Ó Briain")
	if err != nil {
		t.Fatal(err)
	}
	want := idp.Person{ID: a.ID, Tenant: here, Name: "Søren Ó Briain", FamilyName: "Ó Briain", Guest: true}
	if a.ID == "" || !equal(a, want) {
		t.Errorf("Guest = %+v, want %+v with an id", a, want)
	}
	if again, err := h.Store.Guest(t.Context(), here, a.ID, "Other", "Name"); err != nil || !equal(again, want) {
		t.Errorf("repeated: %+v, %v, want %+v", again, err, want)
	}
	_, err = h.Store.Guest(t.Context(), here, "", "No", "Id")
	wantCode(t, err, lodge.CodeInvalid)
	b, err := h.Store.Guest(t.Context(), here, idp.NewPersonID(), "Søren Ó Briain", "Ó Briain")
	if err != nil || b.ID == a.ID {
		t.Errorf("a second guest of that name is %+v (%v), want another person", b, err)
	}
	if p := signIn(t, h.Store, here, idp.Identity{Issuer: "dev", Subject: "soren", Name: a.Name, FamilyName: a.FamilyName}); p.ID == a.ID || p.ID == b.ID || p.Guest {
		t.Errorf("a sign-in became the guest of the same name: %+v", p)
	}
	if got, err := h.Store.Get(t.Context(), here, a.ID); err != nil || len(got) != 1 || !equal(got[0], want) {
		t.Errorf("Get = %+v, %v, want %+v", got, err, want)
	}
}

func testInGroup(t *testing.T, h Harness) {
	for _, who := range []idp.Identity{
		{Issuer: "dev", Subject: "1", Name: "Zoe Adams", FamilyName: "Adams", Groups: []string{"g"}},
		{Issuer: "dev", Subject: "2", Name: "Amy Baker", FamilyName: "Baker", Groups: []string{"g", "h"}},
		{Issuer: "dev", Subject: "3", Name: "Amy Adams", FamilyName: "Adams", Groups: []string{"g"}},
		{Issuer: "dev", Subject: "4", Name: "Not In It", FamilyName: "It", Groups: []string{"G", "gg", "h"}},
	} {
		signIn(t, h.Store, here, who)
	}
	members, err := h.Store.InGroup(t.Context(), here, "g")
	var names []string
	for _, p := range members {
		names = append(names, p.Name)
	}
	if want := []string{"Amy Adams", "Zoe Adams", "Amy Baker"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("InGroup = %q, %v, want %q", names, err, want)
	}
}

func testList(t *testing.T, h Harness) {
	want := map[lodge.PersonID]bool{}
	for _, subject := range []string{"a", "b", "c", "d", "e"} {
		want[signIn(t, h.Store, here, idp.Identity{Issuer: "dev", Subject: subject}).ID] = true
	}
	var last lodge.PersonID
	for pages := 0; ; pages++ {
		page, err := h.Store.List(t.Context(), here, last, 2)
		if err != nil || len(page) > 2 || pages > 5 {
			t.Fatalf("page %d: %d persons, %v", pages, len(page), err)
		}
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			if p.ID <= last || !want[p.ID] {
				t.Errorf("page %d holds %q after %q", pages, p.ID, last)
			}
			delete(want, p.ID)
			last = p.ID
		}
	}
	if len(want) != 0 {
		t.Errorf("%d persons were left out", len(want))
	}
}

func testUnknown(t *testing.T, h Harness) {
	_, err := h.Store.Find(t.Context(), here, "dev", "nobody")
	wantCode(t, err, lodge.CodeNotFound)
	if !errors.Is(err, idp.ErrUnknown) {
		t.Errorf("error %v is not ErrUnknown", err)
	}
	wantCode(t, h.Store.SetDisabled(t.Context(), here, "nobody", true), lodge.CodeNotFound)
	_, err = h.Store.SignIns(t.Context(), here, "nobody")
	wantCode(t, err, lodge.CodeNotFound)
	if members, err := h.Store.InGroup(t.Context(), here, "nothing"); err != nil || len(members) != 0 {
		t.Errorf("InGroup of an unknown group = %+v, %v", members, err)
	}
}

func testIncomplete(t *testing.T, h Harness) {
	for _, who := range []idp.Identity{{}, {Issuer: "dev"}, {Subject: "ada"}} {
		_, err := h.Store.SignedIn(t.Context(), here, who)
		wantCode(t, err, lodge.CodeInvalid)
	}
}

func testBroken(t *testing.T, h Harness) {
	p := signIn(t, h.Store, here, ada)
	h.Break()
	ctx := t.Context()
	_, err := h.Store.SignedIn(ctx, here, ada)
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Get(ctx, here, p.ID)
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Find(ctx, here, "dev", "ada")
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.SignIns(ctx, here, p.ID)
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Guest(ctx, here, "id", "A", "B")
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Link(ctx, here, p.ID, ada)
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Unlink(ctx, here, p.ID, p.Subjects[0])
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Merge(ctx, idp.Merge{Tenant: here, From: p.ID, Into: "q"})
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Unmerge(ctx, here, p.ID, "root", mergedAt)
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Merged(ctx, here)
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.Unsettled(ctx)
	wantCode(t, err, lodge.CodeUnavailable)
	wantCode(t, h.Store.Settled(ctx, idp.Merge{Tenant: here, From: p.ID}), lodge.CodeUnavailable)
	_, err = h.Store.InGroup(ctx, here, "everyone")
	wantCode(t, err, lodge.CodeUnavailable)
	_, err = h.Store.List(ctx, here, "", 1)
	wantCode(t, err, lodge.CodeUnavailable)
	wantCode(t, h.Store.SetDisabled(ctx, here, p.ID, true), lodge.CodeUnavailable)
}

func testReopen(t *testing.T, h Harness) {
	p := signIn(t, h.Store, here, ada)
	again := h.Reopen()
	if found, err := again.Find(t.Context(), here, "dev", "ada"); err != nil || !equal(found, p) {
		t.Errorf("after a restart: %+v, %v, want %+v", found, err, p)
	}
}
