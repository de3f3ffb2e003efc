package personstest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func newJoins(t *testing.T, s idp.Store) *idp.Joins {
	t.Helper()
	j, err := idp.NewJoins(s, bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func makeJoin(t *testing.T, j *idp.Joins, c idp.JoinCode, replaces string) (string, idp.JoinCode) {
	t.Helper()
	if c.Tenant == "" {
		c.Tenant = here
	}
	c.CreatedAt = noon
	code, made, err := j.Make(t.Context(), c, replaces)
	if err != nil {
		t.Fatal(err)
	}
	return code, made
}

func redeem(t *testing.T, s idp.JoinStore, tenant lodge.Tenant, code string, person lodge.PersonID, at time.Time) (idp.JoinCode, bool, error) {
	t.Helper()
	return s.Redeem(t.Context(), idp.JoinCode{Tenant: tenant, Hash: idp.HashJoinCode(code)}, person, at)
}

// wantNoCode fails unless a code did not work, as every other that does not.
func wantNoCode(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, idp.ErrNoJoinCode) || lodge.CodeOf(err) != lodge.CodeNotFound || err.Error() != idp.NoJoinCode().Error() {
		t.Errorf("%s: %v", what, err)
	}
}

// A code works until it is replaced, revoked or over; what it did stays.
func testJoinCodes(t *testing.T, h Harness) {
	s, j := h.Store, newJoins(t, h.Store)
	p := signIn(t, s, here, idp.Identity{Issuer: "dev", Subject: "soren"})
	q := signIn(t, s, here, ada)
	code, first := makeJoin(t, j, idp.JoinCode{Group: "physics-1", By: q.ID, ExpiresAt: noon.Add(time.Hour)}, "")
	if shown, err := j.Show(first); err != nil || shown != code {
		t.Errorf("shown: %q %v", shown, err)
	}
	moved := first
	moved.Group = "other"
	if _, err := j.Show(moved); err == nil {
		t.Error("a sealed code opens for another group")
	}
	done, joined, err := redeem(t, s, here, code, p.ID, noon)
	if err != nil || !joined || done.Group != "physics-1" || done.Uses != 1 || done.ID != first.ID {
		t.Fatalf("%+v %v %v", done, joined, err)
	}
	_, _, err = redeem(t, s, there, code, p.ID, noon)
	wantNoCode(t, "in another tenant", err)
	_, _, err = redeem(t, s, here, code+"x", p.ID, noon)
	wantNoCode(t, "another code", err)
	_, _, err = redeem(t, s, here, code, q.ID, noon.Add(time.Hour))
	wantNoCode(t, "over", err)
	// Replaced, it is good for nothing any more, and who came by it stays.
	next, second := makeJoin(t, j, idp.JoinCode{Group: "physics-1"}, first.ID)
	_, _, err = redeem(t, s, here, code, q.ID, noon)
	wantNoCode(t, "replaced", err)
	if members, err := s.Members(t.Context(), here, "physics-1"); err != nil || len(members) != 1 || members[0].Person != p.ID || members[0].Code != first.ID || !members[0].At.Equal(noon) {
		t.Errorf("members: %+v %v", members, err)
	}
	_, _, err = j.Make(t.Context(), idp.JoinCode{Tenant: here, Group: "physics-1", CreatedAt: noon}, first.ID)
	wantNoCode(t, "replacing what is revoked", err)
	list, err := s.JoinCodes(t.Context(), here, "physics-1")
	if err != nil || len(list) != 2 || list[0].RevokedAt.IsZero() == list[1].RevokedAt.IsZero() {
		t.Errorf("listed: %+v %v", list, err)
	}
	for range 2 {
		if err := s.RevokeJoinCode(t.Context(), here, "physics-1", second.ID, noon); err != nil {
			t.Error(err)
		}
	}
	_, _, err = redeem(t, s, here, next, q.ID, noon)
	wantNoCode(t, "revoked", err)
	wantNoCode(t, "revoked of another group", s.RevokeJoinCode(t.Context(), here, "other", second.ID, noon))
	found, err := s.JoinCode(t.Context(), here, idp.HashJoinCode(next))
	if err != nil || found.ID != second.ID || !found.RevokedAt.Equal(noon) {
		t.Errorf("found %+v %v", found, err)
	}
	_, err = s.JoinCode(t.Context(), there, idp.HashJoinCode(next))
	wantNoCode(t, "found in another tenant", err)
}

// Of a code that a file holds, the store knows how often it was used; the file
// rules the rest.
func testJoinCodesOfFiles(t *testing.T, h Harness) {
	s := h.Store
	kept := idp.JoinCode{Tenant: here, ID: "file-1", Group: "physics-1", Hash: idp.HashJoinCode("a code of a file"), Limit: 1, CreatedAt: noon}
	var people []lodge.PersonID
	for i := range 3 {
		people = append(people, signIn(t, s, here, idp.Identity{Issuer: "dev", Subject: fmt.Sprint(i)}).ID)
	}
	if _, joined, err := s.Redeem(t.Context(), kept, people[0], noon); err != nil || !joined {
		t.Fatal(joined, err)
	}
	_, _, err := s.Redeem(t.Context(), kept, people[1], noon)
	wantNoCode(t, "used up", err)
	kept.Limit = 2
	if done, joined, err := s.Redeem(t.Context(), kept, people[1], noon); err != nil || !joined || done.Uses != 2 {
		t.Errorf("with a higher limit: %+v %v %v", done, joined, err)
	}
	kept.Limit, kept.ExpiresAt = 0, noon
	_, _, err = s.Redeem(t.Context(), kept, people[2], noon)
	wantNoCode(t, "over", err)
	if list, err := s.JoinCodes(t.Context(), here, "physics-1"); err != nil || len(list) != 0 {
		t.Errorf("listed: %+v %v", list, err)
	}
	wantNoCode(t, "revoked here", s.RevokeJoinCode(t.Context(), here, "physics-1", "file-1", noon))
}

// However many come at once, no more than the limit join; who is in already takes
// no place.
func testUseLimits(t *testing.T, h Harness) {
	s, j := h.Store, newJoins(t, h.Store)
	code, _ := makeJoin(t, j, idp.JoinCode{Group: "g", Limit: 3}, "")
	var joinedBy atomic.Int32
	var wg sync.WaitGroup
	people := make([]lodge.PersonID, 8)
	for i := range people {
		people[i] = signIn(t, s, here, idp.Identity{Issuer: "dev", Subject: fmt.Sprint(i)}).ID
	}
	for _, p := range people {
		wg.Go(func() {
			switch _, joined, err := redeem(t, s, here, code, p, noon); {
			case joined:
				joinedBy.Add(1)
			case !errors.Is(err, idp.ErrNoJoinCode):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	members, err := s.Members(t.Context(), here, "g")
	if err != nil || joinedBy.Load() != 3 || len(members) != 3 {
		t.Fatalf("%d joined, %d are members: %v", joinedBy.Load(), len(members), err)
	}
	done, joined, err := redeem(t, s, here, code, members[0].Person, noon)
	if err != nil || joined || done.Uses != 3 {
		t.Errorf("once more: %+v %v %v", done, joined, err)
	}
}

// Who joined is of the group like those whom an issuer put there, through a merge
// and until they leave; what an issuer gave they keep.
func testMemberships(t *testing.T, h Harness) {
	s, j := h.Store, newJoins(t, h.Store)
	p := signIn(t, s, here, ada) // everyone and physics-1, by the issuer
	other := signIn(t, s, here, idp.Identity{Issuer: "other", Subject: "ada"})
	groups := func(id lodge.PersonID, want string) {
		t.Helper()
		found, err := s.Get(t.Context(), here, id)
		if err != nil || len(found) != 1 || fmt.Sprint(found[0].Groups) != want {
			t.Errorf("groups of %s: %+v %v, want %s", id, found, err, want)
		}
	}
	in := func(group string, want int) {
		t.Helper()
		if list, err := s.InGroup(t.Context(), here, group); err != nil || len(list) != want {
			t.Errorf("in %s: %+v %v, want %d", group, list, err, want)
		}
	}
	for _, group := range []string{"physics-1", "chess"} {
		code, _ := makeJoin(t, j, idp.JoinCode{Group: group}, "")
		for _, id := range []lodge.PersonID{p.ID, other.ID} {
			if _, joined, err := redeem(t, s, here, code, id, noon); err != nil || !joined {
				t.Fatal(group, joined, err)
			}
		}
	}
	groups(p.ID, "[chess everyone physics-1]")
	groups(other.ID, "[chess physics-1]")
	in("chess", 2)
	in("physics-1", 2)
	if again := signIn(t, s, here, ada); fmt.Sprint(again.Groups) != "[chess everyone physics-1]" {
		t.Errorf("after another sign-in: %v", again.Groups)
	}
	if _, err := s.Merge(t.Context(), idp.Merge{Tenant: here, From: other.ID, Into: p.ID, By: p.ID, At: noon}); err != nil {
		t.Fatal(err)
	}
	in("chess", 1)
	if list, err := s.Joined(t.Context(), here, p.ID); err != nil || len(list) != 4 || list[0].Person != p.ID {
		t.Errorf("joined: %+v %v", list, err)
	}
	if err := s.Leave(t.Context(), here, "chess", p.ID); err != nil {
		t.Error(err)
	}
	if err := s.Leave(t.Context(), here, "chess", p.ID); !errors.Is(err, idp.ErrUnknown) {
		t.Errorf("left twice: %v", err)
	}
	if err := s.Leave(t.Context(), here, "physics-1", p.ID); err != nil {
		t.Error(err)
	}
	groups(p.ID, "[everyone physics-1]")
	in("chess", 0)
	in("physics-1", 1)
	code, _ := makeJoin(t, j, idp.JoinCode{Group: "chess"}, "")
	if _, _, err := redeem(t, s, here, code, p.ID, noon); err != nil {
		t.Error(err)
	}
	if err := s.Erase(t.Context(), here, p.ID); err != nil {
		t.Error(err)
	}
	if list, err := s.Members(t.Context(), here, "chess"); err != nil || len(list) != 0 {
		t.Errorf("after an erasure: %+v %v", list, err)
	}
}
