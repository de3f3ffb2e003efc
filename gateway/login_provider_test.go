package gateway_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/idp/oidcprovider/issuertest"
)

// providerWorld is an idWorld with two further issuers that others wrote, each in
// a process of its own. They have the machine's clock, so Lodge's follows it.
type providerWorld struct {
	*idWorld
	strict, plain *issuertest.Issuer
}

var teaching = gateway.RoleView{Role: "instructor", Scope: "group:physics-1"}

func newProviderWorld(t *testing.T) *providerWorld {
	t.Helper()
	w := &providerWorld{}
	run := func(profile issuertest.Profile, id, origin string) *issuertest.Issuer {
		is := issuertest.Start(t, profile, issuertest.Client{
			RedirectURI: origin + "/callback/" + id, SignedOutURI: origin + "/signed-out", BackchannelURI: origin + "/backchannel-logout/" + id,
		})
		is.Account("ada", map[string]any{"name": "Ada Lovelace", "family_name": "Lovelace", "eduperson_scoped_affiliation": []string{"member@example.org", "staff@physics.example.org"}})
		is.Account("grace", map[string]any{"name": "Grace Hopper", "eduperson_scoped_affiliation": "student@physics.example.org"})
		return is
	}
	w.idWorld = newIDWorld(t, idOptions{more: func(origin string) []idp.IssuerConfig {
		w.strict, w.plain = run(issuertest.Strict, "strict", origin), run(issuertest.Plain, "plain", origin)
		configs := []idp.IssuerConfig{w.strict.Config("strict"), w.plain.Config("plain")}
		for i := range configs {
			configs[i].Rules = []idp.Rule{
				{Claim: "eduperson_scoped_affiliation", Match: idp.Suffix, Value: "@physics.example.org", Groups: []string{"physics-1"}},
				{Claim: "eduperson_scoped_affiliation", Match: idp.Prefix, Value: "staff@", Roles: []lodge.Binding{{Role: lodge.RoleInstructor, Scope: "group:physics-1"}}},
			}
		}
		return configs
	}})
	return w
}

// catchUp brings Lodge's clock to the machine's, unless it is ahead.
func (w *providerWorld) catchUp() {
	w.clock.mu.Lock()
	defer w.clock.mu.Unlock()
	if now := time.Now(); now.After(w.clock.now) {
		w.clock.now = now
	}
}

// callback walks a browser through an issuer's pages, up to Lodge's callback.
func (w *providerWorld) callback(b *idBrowser, id, account, returnTo string) string {
	w.Helper()
	w.catchUp()
	res, body := b.do("GET", "/login/"+id+"?return="+url.QueryEscape(returnTo), nil)
	to, err := res.Location()
	if err != nil {
		w.Fatalf("GET /login/%s: %d %s", id, res.StatusCode, body)
	}
	return map[string]*issuertest.Issuer{"strict": w.strict, "plain": w.plain}[id].SignIn(&b.client, to.String(), account)
}

// signedInAt returns a new browser in which an account of an issuer has signed in.
func (w *providerWorld) signedInAt(id, account string) *idBrowser {
	w.Helper()
	b := w.browser()
	back := w.callback(b, id, account, "/bookings")
	w.catchUp()
	res, body := b.do("GET", back, nil)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/bookings" {
		w.Fatalf("GET %s: %d to %q %s", back, res.StatusCode, res.Header.Get("Location"), body)
	}
	w.wantStatus(b, account, http.StatusOK)
	return b
}

func TestSec15_EachIssuerHasItsCallback(t *testing.T) {
	w := newProviderWorld(t)
	_, page := w.browser().do("GET", "/login?return=%2Fmessages", nil)
	for _, want := range []string{
		`href="/login/dev?return=%2Fmessages"`, `href="/login/strict?return=%2Fmessages"`, `href="/login/plain?return=%2Fmessages"`,
		"Development", "Institution strict", "Institution plain",
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the chooser lacks %s", want)
		}
	}
	ada := w.browser()
	back := w.callback(ada, "strict", "ada", "/")
	if !strings.HasPrefix(back, w.url+"/callback/strict?") {
		t.Fatalf("sent to %s", back)
	}
	// The same browser, the same answer, at another issuer's callback.
	if res, _ := ada.do("GET", strings.Replace(back, "/callback/strict", "/callback/plain", 1), nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("another issuer's callback: %d", res.StatusCode)
	}
	w.wantStatus(ada, "ada", http.StatusUnauthorized)
	// That spent the attempt.
	if res, _ := ada.do("GET", back, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the right callback, after that: %d", res.StatusCode)
	}
	for _, id := range []string{"strict", "plain"} {
		me := w.me(w.signedInAt(id, "ada"))
		if me.Name != "Ada Lovelace" || !slices.Contains(me.Groups, "physics-1") || !slices.Contains(me.Roles, teaching) {
			t.Errorf("%s: %+v", id, me)
		}
	}
	// Somebody of the same name elsewhere is somebody else.
	if w.me(w.signedInAt("strict", "ada")).Person == w.me(w.signedInAt("plain", "ada")).Person {
		t.Error("two issuers' accounts are one person, and nobody linked them")
	}
}

func TestRolesARealIssuerTakesAwayAreGone(t *testing.T) {
	w := newProviderWorld(t)
	ada, other, root := w.signedInAt("strict", "ada"), w.signedInAt("strict", "ada"), w.signedIn("root")
	me := w.me(ada)
	path := "/api/v1/admin/persons/" + me.Person + "/explain"
	why := idGet[gateway.ExplanationView](root, path)
	if len(why.Roles) != 1 || why.Roles[0].RoleView != teaching || len(why.Roles[0].Because) != 1 || *why.Roles[0].Because[0].Rule != 2 ||
		why.Roles[0].Because[0].Value != "staff@physics.example.org" {
		t.Errorf("explained as %+v", why.Roles)
	}
	w.strict.Account("ada", map[string]any{"name": "Ada Lovelace", "eduperson_scoped_affiliation": "student@physics.example.org"})
	w.active(ada)
	w.until("the refresh", func() bool { return !slices.Contains(w.me(ada).Roles, teaching) })
	w.until("it reaches her other browser", func() bool { return !slices.Contains(w.me(other).Roles, teaching) })
	if me := w.me(other); !slices.Contains(me.Groups, "physics-1") {
		t.Errorf("her other browser has %+v", me)
	}
	if why := idGet[gateway.ExplanationView](root, path); len(why.Roles) != 0 {
		t.Errorf("explained as %+v", why.Roles)
	}
}

func TestSec11_ARealIssuerEndsTheRightSessions(t *testing.T) {
	w := newProviderWorld(t)
	phone, laptop, grace, dev := w.signedInAt("strict", "ada"), w.signedInAt("strict", "ada"), w.signedInAt("strict", "grace"), w.signedIn("ada")
	plainPhone, plainLaptop, plainGrace := w.signedInAt("plain", "ada"), w.signedInAt("plain", "ada"), w.signedInAt("plain", "grace")

	// The person leaves the institution by its own page, in one browser: the issuer
	// names that session.
	w.strict.SignOut(&phone.client, w.strict.URL()+"/session/end")
	w.wantStatus(phone, "the browser that left", http.StatusUnauthorized)
	w.wantStatus(laptop, "her other browser", http.StatusOK)
	// The other issuer names the subject alone.
	w.catchUp()
	if err := w.plain.Logout("ada", ""); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(plainPhone, "ada at the other issuer", http.StatusUnauthorized)
	w.wantStatus(plainLaptop, "ada at the other issuer, elsewhere", http.StatusUnauthorized)
	for who, b := range map[string]*idBrowser{"grace": grace, "grace at the other issuer": plainGrace, "ada's laptop": laptop, "ada of the third issuer": dev} {
		w.wantStatus(b, who, http.StatusOK)
	}
	// One who was never here is no fault.
	w.plain.Account("nobody", map[string]any{})
	if err := w.plain.Logout("nobody", ""); err != nil {
		t.Error(err)
	}
}

func TestSec12_SignOutEndsTheIssuersSessionToo(t *testing.T) {
	w := newProviderWorld(t)
	ada, other := w.signedInAt("strict", "ada"), w.signedInAt("strict", "ada")
	to := ada.sendOff()
	if to.Query().Get("id_token_hint") == "" || !strings.HasPrefix(to.String(), w.strict.URL()+"/session/end") {
		t.Fatalf("sent to %s", to)
	}
	back := w.strict.SignOut(&ada.client, to.String())
	if !strings.HasPrefix(back, w.url+"/signed-out?") {
		t.Fatalf("back at %s", back)
	}
	if res, _ := ada.do("GET", back, nil); res.Header.Get("Location") != "/?done=signed-out" {
		t.Errorf("then at %q", res.Header.Get("Location"))
	}
	w.wantStatus(other, "her other browser", http.StatusOK)

	plain := w.signedInAt("plain", "ada")
	if to := plain.sendOff(); to.RequestURI() != "/?done=signed-out" {
		t.Errorf("an issuer without a page for it: sent to %s", to)
	}
}

func TestRel12_ARealIssuerIsKilled(t *testing.T) {
	w := newProviderWorld(t)
	strict, plain := w.signedInAt("strict", "ada"), w.signedInAt("plain", "ada")
	late := w.browser()
	answer := w.callback(late, "strict", "ada", "/") // still at the issuer when it dies
	w.strict.Kill()
	w.plain.Kill()
	w.clock.add(11 * time.Second) // nobody has heard from them for a while
	for _, path := range []string{"/login/strict", "/login/plain"} {
		w.wantDownPage(path)
	}
	w.wantStatus(strict, "signed in there", http.StatusOK)
	w.wantStatus(plain, "signed in there", http.StatusOK)
	w.signedIn("ada") // at an issuer that lives
	began := time.Now()
	res, page := late.do("GET", answer, nil)
	if took := time.Since(began); took >= 2*time.Second || res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(page), "does not answer") {
		t.Errorf("back from an issuer that died since: %d after %v", res.StatusCode, took)
	}

	w.strict.Restart() // with new keys
	w.plain.Restart()
	w.clock.add(16 * time.Second) // the longest that it is left alone after a failure
	w.signedInAt("strict", "ada")
	w.signedInAt("plain", "ada")
}

func TestSec16_ARealIssuerRotatesItsKeys(t *testing.T) {
	w := newProviderWorld(t)
	before := w.signedInAt("plain", "ada")
	w.plain.Rotate()
	w.clock.add(11 * time.Second) // keys are not read again sooner
	w.signedInAt("plain", "ada")
	w.wantStatus(before, "signed in with the old keys", http.StatusOK)
	if err := w.plain.Logout("ada", ""); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(before, "after a logout token of the new keys", http.StatusUnauthorized)
}

// wantDownPage checks what somebody sees whose institution does not answer.
func (w *idWorld) wantDownPage(path string) {
	w.Helper()
	began := time.Now()
	res, page := w.browser().do("GET", path, nil)
	if took := time.Since(began); took >= 2*time.Second {
		w.Errorf("%s: answered after %v", path, took)
	}
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		w.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
	}
	for _, want := range []string{"does not answer at the moment", "Whoever is signed in stays signed in", "try again"} {
		if !strings.Contains(string(page), want) {
			w.Errorf("%s: the page lacks %q", path, want)
		}
	}
}
