package idp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func offline(c *IssuerConfig, _ *idptest.Client) {
	c.Scopes = []string{"profile", "email", "offline_access"}
}

func TestGrantIsThereWhenTheIssuerGivesOne(t *testing.T) {
	if who, err := newWorld(t, idptest.Faults{}).signIn(); err != nil || who.Grant != nil {
		t.Errorf("not asked for: %+v, %v", who.Grant, err)
	}
	w := newWorld(t, idptest.Faults{}, offline)
	who, err := w.signIn()
	if err != nil || who.Grant == nil || who.Grant.Subject != "ada" || who.Grant.Nonce == "" || who.Grant.Token == "" {
		t.Fatalf("asked for: %+v, %v", who.Grant, err)
	}
	again, err := w.rp.Refresh(t.Context(), "dev", *who.Grant)
	if err != nil || again.Subject != "ada" || !slices.Equal(again.Groups, who.Groups) || again.Grant == nil || again.Grant.Token == who.Grant.Token {
		t.Fatalf("refreshed: %+v, %v", again, err)
	}
	// The issuer takes each once.
	if _, err := w.rp.Refresh(t.Context(), "dev", *who.Grant); !errors.Is(err, ErrGrantOver) || lodge.CodeOf(err) != lodge.CodeUnauthenticated || strings.Contains(err.Error(), who.Grant.Token) {
		t.Errorf("a spent token: %v", err)
	}
	if _, err := w.rp.Refresh(t.Context(), "dev", *again.Grant); err != nil {
		t.Errorf("the newest token: %v", err)
	}
}

func TestRefreshBelievesNothingElse(t *testing.T) {
	for name, test := range map[string]struct {
		claims   func(map[string]any)
		token    func(map[string]any)
		userInfo func(map[string]any)
		good     bool
	}{
		"as it should be":      {good: true},
		"another nonce":        {claims: func(c map[string]any) { c["nonce"] = "other" }},
		"another subject":      {claims: func(c map[string]any) { c["sub"] = "root" }},
		"another audience":     {claims: func(c map[string]any) { c["aud"] = "other" }},
		"an old token":         {claims: func(c map[string]any) { c["exp"] = 1 }},
		"UserInfo alone":       {token: func(r map[string]any) { delete(r, "id_token") }, good: true},
		"UserInfo, another":    {token: func(r map[string]any) { delete(r, "id_token") }, userInfo: func(c map[string]any) { c["sub"] = "root" }},
		"UserInfo, nobody":     {token: func(r map[string]any) { delete(r, "id_token") }, userInfo: func(c map[string]any) { delete(c, "sub") }},
		"no new refresh token": {token: func(r map[string]any) { delete(r, "refresh_token") }, good: true},
	} {
		t.Run(name, func(t *testing.T) {
			var refreshing atomic.Bool
			during := func(f func(map[string]any)) func(map[string]any) {
				return func(m map[string]any) {
					if f != nil && refreshing.Load() {
						f(m)
					}
				}
			}
			w := newWorld(t, idptest.Faults{Claims: during(test.claims), Token: during(test.token), UserInfo: during(test.userInfo)}, offline)
			who, err := w.signIn()
			if err != nil {
				t.Fatal(err)
			}
			refreshing.Store(true)
			again, err := w.rp.Refresh(t.Context(), "dev", *who.Grant)
			if again.Grant == nil || again.Grant.Token == "" {
				t.Errorf("the grant to go on with is lost: %+v", again.Grant)
			}
			switch {
			case test.good && (err != nil || again.Subject != "ada" || len(again.Groups) == 0):
				t.Errorf("%+v, %v", again, err)
			case !test.good && (lodge.CodeOf(err) != lodge.CodeUnavailable || errors.Is(err, ErrGrantOver) || again.Subject != ""):
				t.Errorf("%+v, %v, want another try", again, err)
			}
		})
	}
}

func TestGrantsAreSealedForTheirLogin(t *testing.T) {
	grants, err := NewGrants(nil, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	store := &oneGrant{}
	grants.GrantStore = store
	grant := Grant{Subject: "ada", Nonce: "n", Token: "canary-token"}
	k := KeptGrant{Tenant: "here", Session: "s1", Issuer: "dev"}
	if err := grants.Keep(t.Context(), k, grant); err != nil {
		t.Fatal(err)
	}
	kept := store.k
	if strings.Contains(string(kept.Sealed), "canary") {
		t.Error("the store holds the token in the clear")
	}
	if got, err := grants.Open(kept); err != nil || got != grant {
		t.Errorf("Open = %+v, %v", got, err)
	}
	for name, change := range map[string]func(*KeptGrant){
		"another tenant":  func(k *KeptGrant) { k.Tenant = "there" },
		"another session": func(k *KeptGrant) { k.Session = "s2" },
		"another issuer":  func(k *KeptGrant) { k.Issuer = "other" },
		"altered":         func(k *KeptGrant) { k.Sealed = append([]byte{k.Sealed[0] ^ 1}, k.Sealed[1:]...) },
		"cut":             func(k *KeptGrant) { k.Sealed = k.Sealed[:5] },
	} {
		moved := kept
		change(&moved)
		if got, err := grants.Open(moved); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: opened as %+v (%v)", name, got, err)
		}
	}
	if _, err := NewGrants(store, make([]byte, 16)); err == nil {
		t.Error("a short key was accepted")
	}
}

// oneGrant remembers what was kept last.
type oneGrant struct {
	GrantStore
	k KeptGrant
}

func (s *oneGrant) KeepGrant(_ context.Context, k KeptGrant) error {
	s.k = k
	return nil
}
