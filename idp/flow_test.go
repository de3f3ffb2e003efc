package idp

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp/idptest"
)

func TestSignInReturnsWhatTheIssuerSays(t *testing.T) {
	w := newWorld(t, idptest.Faults{})
	who, err := w.signIn()
	if err != nil {
		t.Fatal(err)
	}
	if who.Issuer != "dev" || who.Subject != "ada" || who.Name != "Ada Lovelace" || who.FamilyName != "Lovelace" ||
		who.Email != "ada@example.org" || !slices.Equal(who.Groups, []string{"everyone", "physics-1"}) ||
		who.SessionID == "" || who.IDToken == "" {
		t.Errorf("identity %+v", who)
	}
}

func TestSignInWorksForEachKindOfClient(t *testing.T) {
	for name, adjust := range map[string]func(*IssuerConfig, *idptest.Client){
		"public":       func(c *IssuerConfig, r *idptest.Client) { c.ClientSecret, r.Secret = "", "" },
		"confidential": func(*IssuerConfig, *idptest.Client) {},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newWorld(t, idptest.Faults{}, adjust).signIn(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("secret in the form", func(t *testing.T) {
		w := newWorld(t, idptest.Faults{Discovery: func(doc map[string]any) {
			doc["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
		}})
		if _, err := w.signIn(); err != nil {
			t.Error(err)
		}
	})
}

func TestSec14_PKCEWithS256Always(t *testing.T) {
	for _, advertised := range []any{[]string{"S256"}, []string{"plain"}, nil} {
		w := newWorld(t, idptest.Faults{Discovery: func(doc map[string]any) { doc["code_challenge_methods_supported"] = advertised }})
		location, flow, err := w.rp.Start(t.Context(), "dev", StartOptions{RedirectURI: redirect})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(flow.Verifier))
		if q := u.Query(); q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("advertised %v: asked with %v", advertised, q)
		}
	}
	t.Run("another verifier", func(t *testing.T) {
		w := newWorld(t, idptest.Faults{})
		flow, query := w.begin()
		other, _ := w.begin()
		flow.Verifier = other.Verifier
		_, err := w.rp.Finish(t.Context(), "dev", flow, query, redirect)
		wantRefused(t, err, lodge.CodeUnauthenticated, flow.Verifier, query.Get("code"))
	})
}

func TestSec13_FlowIsFreshAndItsOwn(t *testing.T) {
	for name, change := range map[string]func(w *world, f *Flow, q url.Values){
		"state of another flow": func(w *world, f *Flow, _ url.Values) { o, _ := w.begin(); f.State = o.State },
		"no state":              func(_ *world, _ *Flow, q url.Values) { q.Del("state") },
		"empty flow": func(_ *world, f *Flow, q url.Values) {
			*f = Flow{Issuer: "dev", Started: f.Started}
			q.Set("state", "")
		},
		"state twice":            func(_ *world, _ *Flow, q url.Values) { q.Add("state", q.Get("state")) },
		"code twice":             func(_ *world, _ *Flow, q url.Values) { q.Add("code", "other") },
		"no code":                func(_ *world, _ *Flow, q url.Values) { q.Del("code") },
		"nonce of another flow":  func(w *world, f *Flow, _ url.Values) { o, _ := w.begin(); f.Nonce = o.Nonce },
		"ten minutes and more":   func(w *world, f *Flow, _ url.Values) { f.Started = w.clock.Now().Add(-FlowLife - time.Second) },
		"started in the future":  func(w *world, f *Flow, _ url.Values) { f.Started = w.clock.Now().Add(skew + time.Second) },
		"started at another one": func(_ *world, f *Flow, _ url.Values) { f.Issuer = "other" },
		"code of somebody else":  func(w *world, _ *Flow, q url.Values) { _, o := w.begin(); q.Set("code", o.Get("code")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idptest.Faults{})
			flow, query := w.begin()
			secrets := []string{flow.State, flow.Nonce, flow.Verifier, query.Get("code"), w.cfg.ClientSecret}
			change(w, &flow, query)
			_, err := w.rp.Finish(t.Context(), "dev", flow, query, redirect)
			wantRefused(t, err, lodge.CodeUnauthenticated, secrets...)
		})
	}
	t.Run("ten minutes are enough", func(t *testing.T) {
		w := newWorld(t, idptest.Faults{})
		flow, query := w.begin()
		flow.Started = w.clock.Now().Add(-FlowLife)
		if _, err := w.rp.Finish(t.Context(), "dev", flow, query, redirect); err != nil {
			t.Error(err)
		}
	})
	t.Run("a code works once", func(t *testing.T) {
		w := newWorld(t, idptest.Faults{})
		flow, query := w.begin()
		if _, err := w.rp.Finish(t.Context(), "dev", flow, query, redirect); err != nil {
			t.Fatal(err)
		}
		_, err := w.rp.Finish(t.Context(), "dev", flow, query, redirect)
		wantRefused(t, err, lodge.CodeUnauthenticated)
	})
	t.Run("every flow has its own secrets", func(t *testing.T) {
		w := newWorld(t, idptest.Faults{})
		a, _ := w.begin()
		b, _ := w.begin()
		if a.State == b.State || a.Nonce == b.Nonce || a.Verifier == b.Verifier || a.State == a.Nonce || len(a.State) != 43 {
			t.Errorf("flows %+v and %+v", a, b)
		}
	})
}

func TestFlowSurvivesMarshalling(t *testing.T) {
	w := newWorld(t, idptest.Faults{})
	flow, _ := w.begin()
	data, err := flow.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := UnmarshalFlow(data); err != nil || again != flow {
		t.Errorf("%+v became %+v (%v)", flow, again, err)
	}
	if flow.ReturnTo != "/bookings" {
		t.Errorf("returns to %q", flow.ReturnTo)
	}
	for _, bad := range []string{"", "null{", "[]", "\x00"} {
		_, err := UnmarshalFlow([]byte(bad))
		wantRefused(t, err, lodge.CodeUnauthenticated)
	}
}

func TestSec15_AnswerNamesTheIssuer(t *testing.T) {
	notAdvertised := func(doc map[string]any) { delete(doc, "authorization_response_iss_parameter_supported") }
	for name, test := range map[string]struct {
		faults idptest.Faults
		good   bool
	}{
		"absent, though advertised": {idptest.Faults{Response: func(q url.Values) { q.Del("iss") }}, false},
		"another issuer's":          {idptest.Faults{Response: func(q url.Values) { q.Set("iss", "https://other.example") }}, false},
		"with a slash":              {idptest.Faults{Response: func(q url.Values) { q.Set("iss", q.Get("iss")+"/") }}, false},
		"twice":                     {idptest.Faults{Response: func(q url.Values) { q.Add("iss", q.Get("iss")) }}, false},
		"on an error":               {idptest.Faults{Response: func(q url.Values) { q.Del("iss"); q.Set("error", "access_denied") }}, false},
		"another's, not advertised": {idptest.Faults{Discovery: notAdvertised, Response: func(q url.Values) { q.Set("iss", "https://other.example") }}, false},
		"empty, not advertised":     {idptest.Faults{Discovery: notAdvertised, Response: func(q url.Values) { q.Set("iss", "") }}, false},
		"absent, not advertised":    {idptest.Faults{Discovery: notAdvertised, Response: func(q url.Values) { q.Del("iss") }}, true},
		"right":                     {idptest.Faults{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.faults)
			_, err := w.signIn()
			if test.good {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantRefused(t, err, lodge.CodeUnauthenticated)
		})
	}
}

func TestErrorsOfTheIssuerAreExplained(t *testing.T) {
	for reason, code := range map[string]lodge.Code{
		"access_denied":           lodge.CodeForbidden,
		"temporarily_unavailable": lodge.CodeUnavailable,
		"server_error":            lodge.CodeUnavailable,
		"login_required":          lodge.CodeUnauthenticated,
		"<script>alert(1)":        lodge.CodeUnauthenticated,
	} {
		t.Run(reason, func(t *testing.T) {
			w := newWorld(t, idptest.Faults{Response: func(q url.Values) {
				q.Del("code")
				q.Set("error", reason)
				q.Set("error_description", "<b>from outside</b>")
			}})
			_, err := w.signIn()
			wantRefused(t, err, code, "from outside", "\n")
		})
	}
}

func TestUnknownIssuerIsNotFound(t *testing.T) {
	w := newWorld(t, idptest.Faults{})
	_, _, err := w.rp.Start(t.Context(), "nope", StartOptions{RedirectURI: redirect})
	wantRefused(t, err, lodge.CodeNotFound)
	_, err = w.rp.Finish(t.Context(), "nope", Flow{}, nil, redirect)
	wantRefused(t, err, lodge.CodeNotFound)
	_, err = w.rp.Logout(t.Context(), "nope", LogoutOptions{})
	wantRefused(t, err, lodge.CodeNotFound)
}

func TestSec12_LogoutAddress(t *testing.T) {
	w := newWorld(t, idptest.Faults{})
	who, err := w.signIn()
	if err != nil {
		t.Fatal(err)
	}
	location, err := w.rp.Logout(t.Context(), "dev", LogoutOptions{IDToken: who.IDToken, RedirectURI: goodbye, State: "xyz"})
	if err != nil {
		t.Fatal(err)
	}
	if to := w.browse(location).String(); to != goodbye+"?state=xyz" {
		t.Errorf("the issuer sends the browser to %q", to)
	}
	none := newWorld(t, idptest.Faults{Discovery: func(doc map[string]any) { delete(doc, "end_session_endpoint") }})
	if location, err := none.rp.Logout(t.Context(), "dev", LogoutOptions{}); err != nil || location != "" {
		t.Errorf("an issuer without logout: %q, %v", location, err)
	}
}
