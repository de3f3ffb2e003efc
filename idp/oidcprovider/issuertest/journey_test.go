package issuertest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/oidcprovider/issuertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	redirect = "http://127.0.0.1:9/callback/uni"
	goodbye  = "http://127.0.0.1:9/signed-out"
)

// ada is what institutions say of her: one sends a list where the other sends one
// text, and the other keeps her family name to itself.
var ada = map[issuertest.Profile]map[string]any{
	issuertest.Strict: {
		"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "email": "ada@example.org",
		"eduperson_scoped_affiliation": []string{"member@example.org", "staff@physics.example.org"},
		"eduperson_entitlement":        "urn:example:lab:teach",
	},
	issuertest.Plain: {
		"name": "Ada Lovelace", "email": "ada@example.org",
		"eduperson_scoped_affiliation": "staff@physics.example.org",
		"eduperson_entitlement":        []string{"urn:example:library", "urn:example:lab:teach"},
	},
}

// A clock runs with the machine's, ahead by what a test adds: the issuer has no
// other.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

type world struct {
	*testing.T
	issuer *issuertest.Issuer
	rp     *idp.RelyingParty
	clock  *clock
}

func newWorld(t *testing.T, profile issuertest.Profile, backchannel string) *world {
	t.Helper()
	w := &world{T: t, clock: &clock{}}
	w.issuer = issuertest.Start(t, profile, issuertest.Client{RedirectURI: redirect, SignedOutURI: goodbye, BackchannelURI: backchannel})
	w.issuer.Account("ada", ada[profile])
	w.issuer.Account("grace", map[string]any{"name": "Grace Hopper"})
	cfg := w.issuer.Config("uni")
	cfg.Rules = []idp.Rule{
		{Claim: "eduperson_scoped_affiliation", Match: idp.Suffix, Value: "@physics.example.org", Groups: []string{"physics"}},
		{Claim: "eduperson_entitlement", Match: idp.Glob, Value: "urn:*:lab:teach", Roles: []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:physics"}}},
	}
	var err error
	// A patient party: what is measured is measured with the default limits.
	if w.rp, err = idp.New([]idp.IssuerConfig{cfg}, w.clock, idp.Options{Timeout: 20 * time.Second}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) browser() *http.Client {
	w.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
}

// begin walks an account's browser to the callback.
func (w *world) begin(b *http.Client, account string) (idp.Flow, url.Values) {
	w.Helper()
	location, flow, err := w.rp.Start(w.Context(), "uni", idp.StartOptions{RedirectURI: redirect})
	if err != nil {
		w.Fatal(err)
	}
	back, err := url.Parse(w.issuer.SignIn(b, location, account))
	if err != nil || back.Path != "/callback/uni" {
		w.Fatalf("the issuer sends the browser to %v, %v", back, err)
	}
	return flow, back.Query()
}

func (w *world) finish(flow idp.Flow, query url.Values) (idp.Identity, error) {
	return w.rp.Finish(w.Context(), "uni", flow, query, redirect)
}

func (w *world) signIn(b *http.Client, account string) idp.Identity {
	w.Helper()
	who, err := w.finish(w.begin(b, account))
	if err != nil {
		w.Fatal(err)
	}
	return who
}

// both runs a test with each configuration.
func both(t *testing.T, test func(t *testing.T, profile issuertest.Profile)) {
	for _, profile := range []issuertest.Profile{issuertest.Strict, issuertest.Plain} {
		t.Run(string(profile), func(t *testing.T) { test(t, profile) })
	}
}

func TestSignIn(t *testing.T) {
	both(t, func(t *testing.T, profile issuertest.Profile) {
		w := newWorld(t, profile, "")
		who := w.signIn(w.browser(), "ada")
		if who.Issuer != "uni" || who.Name != "Ada Lovelace" || who.Email != "ada@example.org" || who.IDToken == "" || who.SessionID != "" {
			t.Errorf("identity %+v", who)
		}
		if want := map[issuertest.Profile]string{issuertest.Strict: "Lovelace"}[profile]; who.FamilyName != want {
			t.Errorf("family name %q, want %q", who.FamilyName, want)
		}
		if !slices.Equal(who.Groups, []string{"physics"}) || !slices.Equal(who.Bindings, []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:physics"}}) {
			t.Errorf("groups %q, bindings %v", who.Groups, who.Bindings)
		}
		if len(who.Reasons) != 2 || who.Reasons[0].Value != "staff@physics.example.org" || who.Reasons[1].Value != "urn:example:lab:teach" {
			t.Errorf("reasons %+v", who.Reasons)
		}
		if pairwise := who.Subject != "ada"; pairwise != (profile == issuertest.Plain) {
			t.Errorf("subject %q", who.Subject)
		}
		if (who.Grant != nil) != (profile == issuertest.Strict) {
			t.Errorf("grant %+v", who.Grant)
		}
		// The same account is the same subject, somebody else another.
		if again := w.signIn(w.browser(), "ada"); again.Subject != who.Subject {
			t.Errorf("subjects %q and %q", who.Subject, again.Subject)
		}
		if grace := w.signIn(w.browser(), "grace"); grace.Subject == who.Subject || len(grace.Groups) != 0 {
			t.Errorf("grace is %+v", grace)
		}
	})
}

// What a real issuer holds against an answer that is not its own.
func TestSec13_AnswersAreGoodOnceAndWithTheirFlow(t *testing.T) {
	both(t, func(t *testing.T, profile issuertest.Profile) {
		w := newWorld(t, profile, "")
		flow, query := w.begin(w.browser(), "ada")
		other, _ := w.begin(w.browser(), "grace")
		mixed := flow
		mixed.Verifier = other.Verifier
		if _, err := w.finish(mixed, query); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Errorf("another flow's verifier: %v", err)
		}
		flow, query = w.begin(w.browser(), "ada")
		if query.Get("iss") != w.issuer.URL() {
			t.Errorf("iss is %q", query.Get("iss"))
		}
		query.Set("iss", "https://other.example")
		if _, err := w.finish(flow, query); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Errorf("another issuer's answer: %v", err)
		}
		query.Set("iss", w.issuer.URL())
		if _, err := w.finish(flow, query); err != nil {
			t.Errorf("as it came: %v", err)
		}
		if _, err := w.finish(flow, query); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Errorf("again: %v", err)
		}
	})
}

func TestRefreshFollowsTheInstitution(t *testing.T) {
	w := newWorld(t, issuertest.Strict, "")
	who := w.signIn(w.browser(), "ada")
	w.issuer.Account("ada", map[string]any{"name": "Ada King", "family_name": "King"})
	now, err := w.rp.Refresh(t.Context(), "uni", *who.Grant)
	if err != nil || now.Subject != who.Subject || now.Name != "Ada King" || len(now.Groups)+len(now.Bindings) != 0 {
		t.Fatalf("refreshed: %+v, %v", now, err)
	}
	if now.Grant.Token == who.Grant.Token {
		t.Fatal("the issuer does not rotate its refresh tokens, so that nothing is tested")
	}
	w.issuer.Account("ada", ada[issuertest.Strict])
	if now, err = w.rp.Refresh(t.Context(), "uni", *now.Grant); err != nil || len(now.Bindings) != 1 {
		t.Errorf("given back: %+v, %v", now, err)
	}
	// A spent one is a theft to this issuer: it ends the grant with all its tokens.
	if _, err := w.rp.Refresh(t.Context(), "uni", *who.Grant); !errors.Is(err, idp.ErrGrantOver) {
		t.Errorf("a spent token: %v", err)
	}
	if _, err := w.rp.Refresh(t.Context(), "uni", *now.Grant); !errors.Is(err, idp.ErrGrantOver) {
		t.Errorf("after that: %v", err)
	}
}

func TestWithoutConsentThereIsNoGrant(t *testing.T) {
	w := newWorld(t, issuertest.Strict, "")
	cfg := w.issuer.Config("uni")
	cfg.Prompt = ""
	var err error
	if w.rp, err = idp.New([]idp.IssuerConfig{cfg}, w.clock, idp.Options{Timeout: 20 * time.Second}); err != nil {
		t.Fatal(err)
	}
	if who := w.signIn(w.browser(), "ada"); who.Grant != nil {
		t.Error("this issuer gives a refresh token without prompt=consent after all; the setting is not needed for it")
	}
}

func TestSec16_RotatedKeysAreFound(t *testing.T) {
	both(t, func(t *testing.T, profile issuertest.Profile) {
		w := newWorld(t, profile, "")
		w.signIn(w.browser(), "ada")
		w.issuer.Rotate()
		// Keys were read a moment ago: not again so soon.
		if _, err := w.finish(w.begin(w.browser(), "ada")); lodge.CodeOf(err) != lodge.CodeUnauthenticated {
			t.Errorf("at once: %v", err)
		}
		w.clock.add(11 * time.Second)
		w.signIn(w.browser(), "ada")
	})
}

// captured is what the issuer posts to the back channel.
func captured(t *testing.T) (address string, tokens <-chan string) {
	t.Helper()
	got := make(chan string, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.PostFormValue("logout_token")
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/backchannel-logout/uni", got
}

func TestSec11_LogoutTokensOfARealIssuer(t *testing.T) {
	both(t, func(t *testing.T, profile issuertest.Profile) {
		address, tokens := captured(t)
		w := newWorld(t, profile, address)
		who := w.signIn(w.browser(), "ada")
		if (who.SessionID != "") != (profile == issuertest.Strict) {
			t.Errorf("the ID token's sid is %q", who.SessionID)
		}
		if err := w.issuer.Logout("ada", who.SessionID); err != nil {
			t.Fatal(err)
		}
		raw := <-tokens
		token, err := w.rp.LogoutToken(t.Context(), "uni", raw)
		if err != nil || token.Subject != who.Subject || token.SessionID != who.SessionID || token.ID == "" || !token.Covers(time.Now()) {
			t.Errorf("%+v, %v", token, err)
		}
		if _, err := w.rp.LogoutToken(t.Context(), "uni", who.IDToken); lodge.CodeOf(err) != lodge.CodeInvalid {
			t.Errorf("the ID token passes for a logout token: %v", err)
		}
		w.clock.add(7 * time.Minute)
		if _, err := w.rp.LogoutToken(t.Context(), "uni", raw); lodge.CodeOf(err) != lodge.CodeInvalid {
			t.Errorf("seven minutes later: %v", err)
		}
	})
}

func TestSec12_SignOutAtARealIssuer(t *testing.T) {
	address, tokens := captured(t)
	w := newWorld(t, issuertest.Strict, address)
	b := w.browser()
	who := w.signIn(b, "ada")
	location, err := w.rp.Logout(t.Context(), "uni", idp.LogoutOptions{IDToken: who.IDToken, RedirectURI: goodbye, State: "xyz"})
	if err != nil {
		t.Fatal(err)
	}
	if back := w.issuer.SignOut(b, location); back != goodbye+"?state=xyz" {
		t.Errorf("back at %q", back)
	}
	if token, err := w.rp.LogoutToken(t.Context(), "uni", <-tokens); err != nil || token.SessionID != who.SessionID {
		t.Errorf("and on the back channel: %+v, %v", token, err)
	}
	without := newWorld(t, issuertest.Plain, "")
	if location, err := without.rp.Logout(t.Context(), "uni", idp.LogoutOptions{}); err != nil || location != "" {
		t.Errorf("an issuer without a sign-out page: %q, %v", location, err)
	}
}

func TestRel12_AnIssuerThatDiesAndComesBack(t *testing.T) {
	both(t, func(t *testing.T, profile issuertest.Profile) {
		w := newWorld(t, profile, "")
		// With the limits of production, which promise an answer within two seconds.
		rp, err := idp.New([]idp.IssuerConfig{w.issuer.Config("uni")}, w.clock, idp.Options{})
		if err != nil {
			t.Fatal(err)
		}
		flow, query := w.begin(w.browser(), "ada")
		w.issuer.Kill()
		for name, fn := range map[string]func(context.Context) error{
			"start": func(ctx context.Context) error {
				_, _, err := rp.Start(ctx, "uni", idp.StartOptions{RedirectURI: redirect})
				return err
			},
			"finish": func(ctx context.Context) error { _, err := rp.Finish(ctx, "uni", flow, query, redirect); return err },
		} {
			began := time.Now()
			err := fn(t.Context())
			if took := time.Since(began); took >= 2*time.Second || lodge.CodeOf(err) != lodge.CodeUnavailable || !strings.Contains(err.Error(), "Whoever is signed in stays signed in") {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		}
		w.issuer.Restart()
		w.clock.add(16 * time.Second) // longer than any pause
		w.signIn(w.browser(), "ada")
	})
}
