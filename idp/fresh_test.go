package idp

import (
	"net/url"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

// Whoever asks for a person who proves anew who they are gets one, or nobody:
// what the browser takes out of the request on the way changes nothing.
func TestSec43_FreshSignInIsBelievedByAuthTimeAlone(t *testing.T) {
	for name, test := range map[string]struct {
		said    func(now time.Time) any // auth_time; nil: not in the token
		refused lodge.Code
	}{
		"now":                            {func(now time.Time) any { return now.Unix() }, ""},
		"a little before, by its clock":  {func(now time.Time) any { return now.Add(-59 * time.Second).Unix() }, ""},
		"remembered":                     {func(now time.Time) any { return now.Add(-61 * time.Second).Unix() }, lodge.CodeUnauthenticated},
		"not said":                       {func(time.Time) any { return nil }, lodge.CodeForbidden},
		"in the future":                  {func(now time.Time) any { return now.Add(61 * time.Second).Unix() }, lodge.CodeUnauthenticated},
		"no time":                        {func(time.Time) any { return "now" }, lodge.CodeUnauthenticated},
		"a time beyond those there are":  {func(time.Time) any { return 1e300 }, lodge.CodeUnauthenticated},
		"before there was any time said": {func(time.Time) any { return -1e300 }, lodge.CodeUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			var w *world
			w = newWorld(t, idptest.Faults{
				Claims: func(claims map[string]any) {
					if claims["auth_time"] = test.said(w.clock.Now()); claims["auth_time"] == nil {
						delete(claims, "auth_time")
					}
				},
				UserInfo: func(claims map[string]any) { claims["auth_time"] = w.clock.Now().Unix() }, // which nobody signed
			}, func(c *IssuerConfig, _ *idptest.Client) { c.GroupsClaim = "never sent" })
			location, flow, err := w.rp.Start(t.Context(), "dev", StartOptions{RedirectURI: redirect, LoginHint: "ada", Fresh: true})
			if err != nil {
				t.Fatal(err)
			}
			to, err := url.Parse(location)
			if err != nil {
				t.Fatal(err)
			}
			asked := to.Query()
			if asked.Get("max_age") != "0" || asked.Get("prompt") != "login" {
				t.Errorf("asked for max_age %q, prompt %q", asked.Get("max_age"), asked.Get("prompt"))
			}
			asked.Del("max_age")
			asked.Del("prompt")
			to.RawQuery = asked.Encode()
			who, err := w.rp.Finish(t.Context(), "dev", flow, w.browse(to.String()).Query(), redirect)
			if lodge.CodeOf(err) != test.refused {
				t.Fatalf("%+v, %v", who.AuthenticatedAt, err)
			}
			if err == nil && w.clock.Now().Sub(who.AuthenticatedAt).Abs() > time.Minute {
				t.Errorf("authenticated at %v", who.AuthenticatedAt)
			}
		})
	}
}

func TestFreshSignInKeepsTheConfiguredPrompt(t *testing.T) {
	for configured, want := range map[string]string{"": "login", "login": "login", "consent": "login consent", "select_account": "login select_account"} {
		w := newWorld(t, idptest.Faults{}, func(c *IssuerConfig, _ *idptest.Client) { c.Prompt = configured })
		location, _, err := w.rp.Start(t.Context(), "dev", StartOptions{RedirectURI: redirect, Fresh: true})
		if err != nil {
			t.Fatal(err)
		}
		if to, err := url.Parse(location); err != nil || to.Query().Get("prompt") != want {
			t.Errorf("%q: asked for %s", configured, location)
		}
	}
}

// A sign-in that nobody asked to be fresh takes what the issuer says, and needs
// nothing said.
func TestSignInTakesDownWhenThePersonWasAuthenticated(t *testing.T) {
	for name, said := range map[string]any{"an hour ago": -time.Hour, "not said": nil} {
		var w *world
		w = newWorld(t, idptest.Faults{Claims: func(claims map[string]any) {
			delete(claims, "auth_time")
			if ago, ok := said.(time.Duration); ok {
				claims["auth_time"] = w.clock.Now().Add(ago).Unix()
			}
		}})
		who, err := w.signIn()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if ago, ok := said.(time.Duration); ok != !who.AuthenticatedAt.IsZero() || ok && !who.AuthenticatedAt.Equal(w.clock.Now().Add(ago)) {
			t.Errorf("%s: %v", name, who.AuthenticatedAt)
		}
	}
}
