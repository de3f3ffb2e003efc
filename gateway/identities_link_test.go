package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/idp"
	"github.com/lodge-gateway/lodge/internal/audit"
)

// identities are the accounts that sign a browser's person in, by subject.
func (b *idBrowser) identities() map[string]gateway.IdentityView {
	b.Helper()
	found := idGet[struct{ Identities []gateway.IdentityView }](b, "/api/v1/me/identities")
	all := map[string]gateway.IdentityView{}
	for _, one := range found.Identities {
		all[one.Subject] = one
	}
	return all
}

// linkTo begins to add an account with the form of the page and returns the
// issuer's answer, the address to come back to.
func (b *idBrowser) linkTo(account string) string {
	b.Helper()
	location := "/identities/link"
	form := url.Values{"issuer": {"dev"}, "login_hint": {account}}
	for _, method := range []string{"POST", "GET"} {
		res, body := b.do(method, location, form)
		to, err := res.Location()
		if err != nil {
			b.Fatalf("%s %s: %d %s", method, location, res.StatusCode, body)
		}
		location, form = to.String(), nil
	}
	return location
}

// link adds an account.
func (b *idBrowser) link(account string) {
	b.Helper()
	if res, body := b.do("GET", b.linkTo(account), nil); res.Header.Get("Location") != "/identities?done=linked" {
		b.Fatalf("linking %s: %d to %q\n%s", account, res.StatusCode, res.Header.Get("Location"), body)
	}
}

func (b *idBrowser) cookie() string {
	u, err := url.Parse(b.url)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == "lodge-dev" {
			return c.Value
		}
	}
	return ""
}

func TestSec05_LinkingAnAccountChangesTheCode(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	ada := w.signedIn("ada")
	person, before := w.personID("ada"), ada.cookie()
	ada.link("soren")
	if ada.cookie() == before {
		t.Error("the session's code is the same")
	}
	old := w.browser()
	u, _ := url.Parse(w.url)
	old.client.Jar.SetCookies(u, []*http.Cookie{{Name: "lodge-dev", Value: before, Path: "/"}})
	w.wantStatus(old, "the code of before", http.StatusUnauthorized)
	if got := ada.identities(); len(got) != 2 || !got["soren"].Current || got["ada"].Current || got["soren"].Name != "Development" {
		t.Errorf("identities %+v", got)
	}
	if w.personID("soren") != person {
		t.Error("the linked account is another person's")
	}
	if me := idGet[gateway.Me](w.signedIn("soren"), "/api/v1/me"); me.Person != string(person) {
		t.Errorf("the linked account signs in %+v", me)
	}
	res, page := ada.do("GET", "/identities", nil)
	if res.StatusCode != http.StatusOK || strings.Count(string(page), `data-testid="identity"`) != 2 {
		t.Errorf("the page: %d %s", res.StatusCode, page)
	}
}

// A sign-in that adds an account is good once, in the login that began it, and for
// an account that is nobody's.
func TestSec13_LinkingIsBoundToTheLogin(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	ada, grace := w.signedIn("ada"), w.signedIn("grace")

	// Somebody else's account stays theirs, and says what to do.
	res, page := ada.do("GET", ada.linkTo("grace"), nil)
	if res.StatusCode != http.StatusConflict || !strings.Contains(string(page), "administrator") {
		t.Errorf("another's account: %d %s", res.StatusCode, page)
	}
	w.wantStatus(ada, "ada", http.StatusOK)
	w.wantStatus(grace, "grace", http.StatusOK)

	// In another browser, and twice.
	callback := ada.linkTo("linus")
	for _, other := range []*idBrowser{w.browser(), grace} {
		if res, _ := other.do("GET", callback, nil); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("in another browser: %d", res.StatusCode)
		}
	}
	if res, _ := ada.do("GET", callback, nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("in its own: %d", res.StatusCode)
	}
	if res, _ := ada.do("GET", callback, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("again: %d", res.StatusCode)
	}

	// The login ended, or another one began, meanwhile.
	callback = ada.linkTo("root")
	if res, _ := ada.do("POST", "/logout", url.Values{}); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("logout: %d", res.StatusCode)
	}
	if res, _ := ada.do("GET", callback, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", res.StatusCode)
	}
	soren := w.signedIn("soren")
	callback = soren.linkTo("root")
	w.clock.add(61 * time.Minute) // idle, and the flow too old
	if res, _ := soren.do("GET", callback, nil); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("too late: %d", res.StatusCode)
	}
	if _, err := w.persons.Find(t.Context(), lodge.DefaultTenant, "dev", "root"); lodge.CodeOf(err) != lodge.CodeNotFound {
		t.Errorf("an account was linked or made all the same: %v", err)
	}
	for _, b := range []*idBrowser{w.browser(), ada} {
		if res, _ := b.do("POST", "/identities/link", url.Values{"issuer": {"dev"}}); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("linking without a login: %d", res.StatusCode)
		}
	}
}

func TestUnlinkEndsTheLoginsMadeThroughIt(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	ada := w.signedIn("ada")
	ada.link("soren")
	phone, laptop := w.signedIn("ada"), w.signedIn("soren")
	ids := ada.identities()
	remove := func(b *idBrowser, id string) (int, string) {
		t.Helper()
		res, _ := b.do("POST", "/identities/"+id+"/unlink", url.Values{})
		return res.StatusCode, res.Header.Get("Location")
	}
	if status, to := remove(phone, ids["soren"].ID); status != http.StatusSeeOther || to != "/identities?done=unlinked" {
		t.Fatalf("unlink: %d to %q", status, to)
	}
	w.wantStatus(phone, "the login through the other account", http.StatusOK)
	w.wantStatus(laptop, "the login through the removed account", http.StatusUnauthorized)
	w.wantStatus(ada, "the login that linked it, through it", http.StatusUnauthorized)
	if status, _ := remove(phone, ids["soren"].ID); status != http.StatusNotFound {
		t.Errorf("again: %d", status)
	}
	if status, _ := remove(phone, ids["ada"].ID); status != http.StatusUnprocessableEntity {
		t.Errorf("the last one: %d", status)
	}
	again := w.signedIn("soren")
	if idGet[gateway.Me](again, "/api/v1/me").Person == idGet[gateway.Me](phone, "/api/v1/me").Person {
		t.Error("the removed account still signs the person in")
	}
}

// A subject alone is that subject, and not the person it belongs to.
func TestSec11_BackchannelLogoutEndsOneSubjectOfSeveral(t *testing.T) {
	w := newIDWorld(t, idOptions{})
	ada := w.signedIn("ada")
	ada.link("soren") // this login is soren's now
	phone, laptop := w.signedIn("ada"), w.signedIn("soren")
	if err := w.provider.Logout(t.Context(), "lodge", "soren", ""); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(phone, "the login through the other subject", http.StatusOK)
	w.wantStatus(ada, "a login through the subject that left", http.StatusUnauthorized)
	w.wantStatus(laptop, "another login through it", http.StatusUnauthorized)
	if err := w.provider.Logout(t.Context(), "lodge", "ada", ""); err != nil {
		t.Fatal(err)
	}
	w.wantStatus(phone, "the login of the subject that left now", http.StatusUnauthorized)
}

func TestIdentitiesAPI(t *testing.T) {
	l := newLab(t)
	ada, root := l.signedIn("ada"), l.signedIn("root")
	_, err := l.persons.Link(t.Context(), lodge.DefaultTenant, lodge.PersonID(ada.me().Person), idp.Identity{Issuer: "guild", Subject: "al", Groups: []string{"guild"}})
	l.must(err)
	list := call[struct{ Identities []gateway.IdentityView }](ada, 200, "GET", "/api/v1/me/identities", nil).Identities
	if len(list) != 2 || list[0].Issuer != "dev" || !list[0].Current || list[1].Issuer != "guild" || list[1].Current {
		t.Fatalf("%+v", list)
	}
	ada.refused(404, "POST", "/api/v1/me/identities", gateway.LinkRequest{Issuer: "nowhere"})
	ada.refused(400, "POST", "/api/v1/me/identities", "{")
	started := call[gateway.LinkStarted](ada, 200, "POST", "/api/v1/me/identities", gateway.LinkRequest{Issuer: "dev", LoginHint: "grace"})
	back := ada.do("GET", started.Location, nil).header.Get("Location")
	if got := ada.do("GET", back, nil); got.status != http.StatusConflict {
		t.Errorf("another's account: %d %s", got.status, got.body)
	}
	root.refused(404, "DELETE", "/api/v1/me/identities/"+list[1].ID, nil)
	if got := ada.do("DELETE", "/api/v1/me/identities/"+list[1].ID, nil); got.status != http.StatusNoContent {
		t.Errorf("unlink: %d %s", got.status, got.body)
	}
	ada.refused(422, "DELETE", "/api/v1/me/identities/"+list[0].ID, nil)
	l.browser().refused(401, "GET", "/api/v1/me/identities", nil)
	l.lookUp(ada.book("pend00-everyone")).refused(403, "GET", "/api/v1/me/identities", nil)
	l.audited(root, audit.Unlink, "person:"+ada.me().Person)
}

// audited expects an entry of an action about an object in the audit trail.
func (l *lab) audited(root *browser, action audit.Action, object string) {
	l.Helper()
	got := call[gateway.AuditView](root, 200, "GET", "/api/v1/admin/audit?action="+string(action), nil)
	for _, e := range got.Entries {
		if e.Object == object && e.Actor != "" {
			return
		}
	}
	said, err := json.Marshal(got.Entries)
	l.must(err)
	l.Errorf("no entry of %s about %s: %s", action, object, said)
}
