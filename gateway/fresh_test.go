package gateway_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
)

// confirm goes where a refusal sends somebody and proves there who they are.
func (b *browser) confirm(at, account string) string {
	b.Helper()
	started := b.do("GET", at, nil)
	page, err := url.Parse(started.header.Get("Location"))
	if err != nil || started.status != 303 {
		b.Fatalf("%s: %d to %v, %v", at, started.status, page, err)
	}
	if asked := b.do("GET", page.String(), nil); asked.status != 200 {
		b.Fatalf("the issuer remembers: %d", asked.status)
	}
	form := page.Query()
	form.Set("account", account)
	page.RawQuery = ""
	got := b.do("POST", page.String(), form)
	return b.follow(got.header.Get("Location"))
}

// An administrator who proved long ago who they are sees everything, ends one
// session or one person's at once, and neither gives rights nor reaches everybody
// before they prove it again.
func TestSec43_DangerousActsNeedFreshAuthentication(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	soren := l.signedIn("soren").me().Person
	host := call[gateway.CodeView](root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	merge := "/api/v1/admin/persons/" + soren + "/merge"
	version := call[gateway.MergePreview](root, 200, "GET", merge+"?into="+ada.me().Person, nil).Version
	l.clock.pass(15*time.Minute - time.Second)
	call[gateway.CodeView](root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	l.clock.pass(time.Second)

	for _, act := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "service", Scopes: []string{"introspect"}}},
		{"DELETE", "/api/v1/admin/codes/" + host.Session.ID, nil},
		{"POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{All: true}},
		{"POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Kind: "login"}},
		{"PUT", "/api/v1/admin/persons/" + soren + "/disabled", gateway.DisableRequest{Disabled: true}},
		{"POST", merge, gateway.MergeRequest{Into: ada.me().Person, Version: version}},
		{"POST", "/api/v1/admin/persons/" + soren + "/unmerge", nil},
		{"POST", "/api/v1/admin/persons/" + soren + "/erase", gateway.EraseRequest{Version: "shown"}},
		{"POST", "/api/v1/me/identities", gateway.LinkRequest{Issuer: "dev"}}, // another door to the same rights
	} {
		root.refused(401, act.method, act.path, act.body)
		got := root.do(act.method, act.path, act.body)
		if challenge := got.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="insufficient_user_authentication", max_age="900"`) ||
			!strings.Contains(string(got.body), `"reauthenticate":"/login/dev?fresh=true"`) {
			t.Errorf("%s %s: %q %s", act.method, act.path, challenge, got.body)
		}
	}
	for form, path := range map[string]string{
		"all=true": "/admin/end", "kind=login": "/admin/end", "into=" + ada.me().Person: "/admin/persons/" + soren + "/merge",
		"": "/admin/persons/" + soren + "/unmerge", "issuer=dev": "/identities/link",
	} {
		values, _ := url.ParseQuery(form)
		got := root.do("POST", path, values, pair{"Referer", l.url + "/admin/persons?q=s"})
		if got.status != 401 || !strings.Contains(string(got.body), `href="/login/dev?fresh=true&amp;return=%2Fadmin%2Fpersons%3Fq%3Ds"`) {
			t.Errorf("%s %s: %d %s", path, form, got.status, got.body)
		}
		got = root.do("POST", path, values, pair{"Referer", "https://evil.example/x"})
		if !strings.Contains(string(got.body), `return=%2Fadmin"`) {
			t.Errorf("%s: sent back to a stranger's page", path)
		}
	}

	// What helps against a thief does not wait.
	one := l.signedIn("grace").me()
	call[gateway.RevokedView](root, 200, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Session: one.Session.ID})
	call[gateway.RevokedView](root, 200, "POST", "/api/v1/admin/sessions/revoke", gateway.RevokeRequest{Person: soren})
	root.refused(401, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
	if got := ada.do("POST", "/api/v1/me/identities", gateway.LinkRequest{Issuer: "dev"}); got.status != 200 {
		t.Errorf("somebody without the role has to prove it again: %d %s", got.status, got.body)
	}

	// Proved again, on the way to a page, under a new code.
	before := root.cookie("lodge-dev")
	asked := root.do("GET", "/admin/end?kind=login", nil)
	to := asked.header.Get("Location")
	if asked.status != 303 || to != "/login/dev?fresh=true&return=%2Fadmin%2Fend%3Fkind%3Dlogin" {
		t.Fatalf("%d to %q", asked.status, to)
	}
	if at := root.confirm(to, "root"); at != l.url+"/admin/end?kind=login" {
		t.Errorf("ended up at %s", at)
	}
	if root.cookie("lodge-dev") == before {
		t.Error("the session's code is the same")
	}
	call[gateway.CodeView](root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
}

func TestFreshAuthenticationCanBeLeftOut(t *testing.T) {
	l := newLab(t, func(c *gateway.Config) { c.AdminFresh = -1 })
	root := l.signedIn("root")
	l.clock.pass(50 * time.Minute)
	call[gateway.CodeView](root, 201, "POST", "/api/v1/admin/codes", gateway.CodeRequest{Kind: "host", Experiment: "pend00"})
}

// An account that was added to an administrator proves nothing for the person it
// was added to: the login goes on with what was proved before.
func TestSec43_LinkingIsNoProof(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	root := w.signedIn("root")
	w.clock.add(10 * time.Minute)
	root.link("soren")
	w.clock.add(6 * time.Minute)
	res, _ := root.do("GET", "/admin/end?kind=login", nil)
	if to := res.Header.Get("Location"); !strings.HasPrefix(to, "/login/dev?fresh=true") {
		t.Errorf("%d to %q", res.StatusCode, to)
	}
}
