package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
	"github.com/lodge-gateway/lodge/sessions"
)

// sids returns the issuer's session ids of an account's logins.
func (w *idWorld) sids(account string) (sids []string) {
	w.Helper()
	found, err := w.sessions.List(w.Context(), lodge.DefaultTenant, sessions.Filter{Person: w.personID(account), Kind: sessions.Login})
	if err != nil {
		w.Fatal(err)
	}
	for _, s := range found {
		sids = append(sids, s.IdPSession)
	}
	return sids
}

func (w *idWorld) wantStatus(b *idBrowser, who string, want int) {
	w.Helper()
	if got := b.status("/api/v1/me"); got != want {
		w.Errorf("%s: status %d, want %d", who, got, want)
	}
}

// send posts a form to the back channel.
func (w *idWorld) send(path string, form url.Values) *http.Response {
	w.Helper()
	res, body := w.browser().do("POST", path, form)
	if res.Header.Get("Cache-Control") != "no-store" {
		w.Errorf("Cache-Control %q", res.Header.Get("Cache-Control"))
	}
	if res.StatusCode == http.StatusBadRequest && !strings.Contains(string(body), `"error":"`) {
		w.Errorf("the refusal does not say why: %s", body)
	}
	return res
}

func TestSec11_BackchannelLogoutEndsTheRightSessions(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	phone := w.signedIn("ada")
	sid := w.sids("ada")[0]
	laptop, grace := w.signedIn("ada"), w.signedIn("grace")

	// One session of the issuer: this browser and no other.
	if err := w.provider.Logout(t.Context(), "lodge", "ada", sid); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(phone, "the browser that left", http.StatusUnauthorized)
	w.wantStatus(laptop, "her other browser", http.StatusOK)
	w.wantStatus(grace, "somebody else", http.StatusOK)

	// A session that is not the subject's is left alone.
	if err := w.provider.Logout(t.Context(), "lodge", "ada", w.sids("grace")[0]); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(grace, "somebody else", http.StatusOK)

	// The subject alone: all her logins, but no host's or service's session.
	code, _, err := w.sessions.Create(t.Context(), sessions.New{
		Tenant: lodge.DefaultTenant, Kind: sessions.Host, Experiment: "pend00", ExpiresAt: w.clock.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.provider.Logout(t.Context(), "lodge", "ada", ""); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(laptop, "her other browser", http.StatusUnauthorized)
	w.wantStatus(grace, "somebody else", http.StatusOK)
	if _, err := w.sessions.Check(t.Context(), lodge.DefaultTenant, code); err != nil {
		t.Errorf("the host's session: %v", err)
	}

	// Somebody who was never here, and a session that is over: nothing to do.
	for _, who := range [][2]string{{"nobody", ""}, {"", "no such session"}, {"ada", sid}} {
		if err := w.provider.Logout(t.Context(), "lodge", who[0], who[1]); err != nil {
			t.Errorf("%q: %v", who, err)
		}
	}
}

func TestSec11_LogoutTokenIsHonouredOnce(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	first := w.signedIn("ada")
	raw, err := w.provider.LogoutToken("lodge", "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"logout_token": {raw}}
	if res := w.send("/backchannel-logout/dev", form); res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
	w.wantStatus(first, "ada", http.StatusUnauthorized)
	again := w.signedIn("ada")
	if res := w.send("/backchannel-logout/dev", form); res.StatusCode != http.StatusBadRequest {
		t.Errorf("the replay is answered with %d", res.StatusCode)
	}
	w.wantStatus(again, "ada, signed in again", http.StatusOK)

	// A token that was held back does not end what began after it was made.
	late, err := w.provider.LogoutToken("lodge", "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	w.clock.add(90 * time.Second)
	newer := w.signedIn("ada")
	if res := w.send("/backchannel-logout/dev", url.Values{"logout_token": {late}}); res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
	w.wantStatus(newer, "ada, signed in since", http.StatusOK)
	w.wantStatus(again, "ada, signed in before", http.StatusUnauthorized)
}

func TestSec11_BackchannelRefusals(t *testing.T) {
	w := newIDWorld(t, idOptions{provider: func(c *idptest.Config) {
		c.Faults.Logout = func(claims map[string]any) {
			if claims["sub"] == "grace" {
				claims["nonce"] = "n"
			}
		}
	}})
	ada, grace := w.signedIn("ada"), w.signedIn("grace")
	bad, err := w.provider.LogoutToken("lodge", "grace", "")
	if err != nil {
		t.Fatal(err)
	}
	good, err := w.provider.LogoutToken("lodge", "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]url.Values{
		"no token": {}, "empty": {"logout_token": {""}}, "two tokens": {"logout_token": {good, good}},
		"a nonce": {"logout_token": {bad}}, "too large": {"logout_token": {strings.Repeat("x", 100_000)}},
	} {
		if res := w.send("/backchannel-logout/dev", form); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, res.StatusCode)
		}
	}
	if res := w.send("/backchannel-logout/dev?logout_token="+url.QueryEscape(good), url.Values{}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a token in the address: status %d", res.StatusCode)
	}
	if res := w.send("/backchannel-logout/other", url.Values{"logout_token": {good}}); res.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown issuer: status %d", res.StatusCode)
	}
	w.wantStatus(ada, "ada", http.StatusOK)
	w.wantStatus(grace, "grace", http.StatusOK)
}
