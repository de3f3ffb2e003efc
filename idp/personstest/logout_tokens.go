package personstest

import (
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
)

// LogoutTokens runs what an idp.LogoutTokens promises, on an empty one.
func LogoutTokens(t *testing.T, store idp.LogoutTokens) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	token := idp.LogoutToken{Issuer: "dev", ID: "j1", Ends: now.Add(6 * time.Minute)}
	known := func(tenant lodge.Tenant, issuer, id string) bool {
		t.Helper()
		yes, err := store.LoggedOut(t.Context(), tenant, issuer, id)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if known("here", "dev", "j1") {
		t.Error("a token is known before it came")
	}
	for range 2 { // it may be repeated
		if err := store.KeepLogout(t.Context(), "here", token, now); err != nil {
			t.Fatal(err)
		}
	}
	if !known("here", "dev", "j1") {
		t.Error("the token is forgotten")
	}
	if known("there", "dev", "j1") || known("here", "other", "j1") || known("here", "dev", "j2") {
		t.Error("another tenant, issuer or id is taken for it")
	}
	another := idp.LogoutToken{Issuer: "dev", ID: "j2", Ends: now.Add(time.Hour)}
	if err := store.KeepLogout(t.Context(), "here", another, token.Ends.Add(-time.Microsecond)); err != nil {
		t.Fatal(err)
	}
	if !known("here", "dev", "j1") {
		t.Error("the token is forgotten before its end")
	}
	if err := store.KeepLogout(t.Context(), "here", another, token.Ends); err != nil {
		t.Fatal(err)
	}
	if known("here", "dev", "j1") || !known("here", "dev", "j2") {
		t.Error("the end of a token is not what decides")
	}
}
