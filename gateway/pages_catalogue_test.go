package gateway_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
)

// value is what a field of a page's form holds.
func value(page, name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return m[1]
}

// With forms alone: a manifest, its plan, a choice for the booking it touches, and
// the change.
func TestCataloguePage(t *testing.T) {
	l := newLab(t)
	root, ada, linus := l.signedIn("root"), l.signedIn("ada"), l.signedIn("linus")
	mine := ada.book("pend00-everyone")
	text := lodgeV1 + "policies: {everyone: {max_duration: 4m, book_ahead: 1h}}\n"
	got := root.do("POST", "/admin/catalogue/plan", url.Values{"manifest": {text}})
	page := string(got.body)
	if got.status != 200 || !strings.Contains(page, "policies.everyone allows 4m at most") || !strings.Contains(page, "booking-"+mine.ID) {
		t.Fatalf("plan: %d %s", got.status, page)
	}
	form := url.Values{"manifest": {text}, "base": {value(page, "base")}}
	got = root.do("POST", "/admin/catalogue/apply", form)
	if got.status != 422 || !strings.Contains(string(got.body), "has no choice") || !strings.Contains(string(got.body), "booking-"+mine.ID) {
		t.Errorf("without a choice: %d %s", got.status, got.body)
	}
	form.Set("booking-"+mine.ID, "cancel")
	form.Set("message", "The visits are shorter now.")
	if got = root.do("POST", "/admin/catalogue/apply", form); got.status != 303 || got.header.Get("Location") != "/admin/catalogue?done=applied" {
		t.Errorf("applied: %d %s", got.status, got.body)
	}
	if after := call[gateway.BookingView](ada, 200, "GET", mine.Links.Self, nil); after.Reason != "The visits are shorter now." {
		t.Errorf("after: %+v", after)
	}
	// A technician finds the page, and may not change what is not theirs.
	if got = linus.do("GET", "/admin/catalogue", nil); got.status != 200 {
		t.Errorf("a technician: %d", got.status)
	}
	if got = linus.do("POST", "/admin/catalogue/plan", url.Values{"manifest": {strings.Replace(text, "4m", "3m", 1)}}); got.status != 403 || !strings.Contains(string(got.body), "You may not change policies.everyone") {
		t.Errorf("what is not theirs: %d %s", got.status, got.body)
	}
	if got = ada.do("GET", "/admin/catalogue", nil); got.status != 403 {
		t.Errorf("a student: %d", got.status)
	}
	if got = root.do("POST", "/admin/catalogue/plan", url.Values{"manifest": {"lodge: v1\nrigs: {}\n"}}); got.status != 422 || !strings.Contains(string(got.body), "rigs is not a field") {
		t.Errorf("a faulty one: %d %s", got.status, got.body)
	}
}

func TestRolesPage(t *testing.T) {
	l := newLab(t)
	root, ada := l.signedIn("root"), l.signedIn("ada")
	form := url.Values{"role": {"technician"}, "scope": {"experiment:pend02"}, "subject": {"dev:ada"}, "name": {"ada"}}
	if got := root.do("POST", "/admin/roles", form); got.status != 303 {
		t.Fatalf("given: %d %s", got.status, got.body)
	}
	if got := ada.do("GET", "/rigs", nil); got.status != 200 || !strings.Contains(string(got.body), "pend02") {
		t.Errorf("the rig: %d", got.status)
	}
	got := root.do("GET", "/admin/roles?person="+ada.me().Person, nil)
	if page := string(got.body); got.status != 200 || !strings.Contains(page, "experiment:pend02") || !strings.Contains(page, "Ada Lovelace") {
		t.Errorf("explained: %d %s", got.status, page)
	}
	form.Set("scope", "experiment:gone")
	form.Set("name", "again")
	if got := root.do("POST", "/admin/roles", form); got.status != 422 || value(string(got.body), "scope") != "experiment:gone" {
		t.Errorf("a fault: %d %s", got.status, got.body)
	}
	if got := root.do("POST", "/admin/roles/ada/remove", url.Values{}); got.status != 303 {
		t.Errorf("removed: %d", got.status)
	}
	if got := ada.do("GET", "/rigs", nil); got.status != 403 {
		t.Errorf("the rig after that: %d", got.status)
	}
	if got := ada.do("GET", "/admin/roles", nil); got.status != 403 {
		t.Errorf("a student: %d", got.status)
	}
}

// A join link that somebody opens signed out leads through the sign-in to the group.
func TestJoinPages(t *testing.T) {
	l := newLab(t)
	root := l.signedIn("root")
	if got := root.do("POST", "/groups/physics-1/codes", url.Values{"days": {"7"}, "limit": {"3"}}); got.status != 303 {
		t.Fatalf("made: %d %s", got.status, got.body)
	}
	made := call[gateway.JoinCodesView](root, 200, "GET", physicsCodes, nil).Codes[0]
	page := string(root.do("GET", "/groups/physics-1", nil).body)
	if !strings.Contains(page, made.Link) || !strings.Contains(page, made.ID+"/qr.svg") || !strings.Contains(page, "Ada Lovelace") {
		t.Fatalf("the group's page: %s", page)
	}
	linus := l.browser()
	got := linus.do("GET", "/join/"+made.Code, nil)
	if got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), "/login?return=%2Fjoin%2F") {
		t.Fatalf("signed out: %d %v", got.status, got.header)
	}
	if at := linus.follow("/login/dev?login_hint=linus&return=" + url.QueryEscape("/join/"+made.Code)); at != l.url+"/join/"+made.Code {
		t.Fatalf("signed in, at %s", at)
	}
	if got = linus.do("GET", "/join/"+made.Code, nil); got.status != 200 || !strings.Contains(string(got.body), "Physics 1") || slices.Contains(linus.me().Groups, "physics-1") {
		t.Errorf("asked: %d %s", got.status, got.body)
	}
	if got = linus.do("POST", "/join", url.Values{"code": {made.Code}}); got.status != 303 || !slices.Contains(linus.me().Groups, "physics-1") {
		t.Errorf("joined: %d %s", got.status, got.body)
	}
	if got = linus.do("POST", "/join", url.Values{"code": {"nonsense"}}); got.status != 404 || !strings.Contains(string(got.body), "does not work") {
		t.Errorf("nonsense: %d %s", got.status, got.body)
	}
	for _, do := range []string{"/codes/" + made.ID + "/rotate", "/members/" + linus.me().Person + "/remove"} {
		if got = root.do("POST", "/groups/physics-1"+do, url.Values{}); got.status != 303 {
			t.Errorf("%s: %d %s", do, got.status, got.body)
		}
	}
	if slices.Contains(linus.me().Groups, "physics-1") {
		t.Error("removed, and there still")
	}
	if got = linus.do("GET", "/groups/physics-1", nil); got.status != 403 {
		t.Errorf("a stranger: %d", got.status)
	}
	leavesAGroup(l, root, linus)
	if strings.Contains(l.log.String(), made.Code) {
		t.Error("the join code is in the log")
	}
}

// Who looks after a group finds it from where they teach; who is in it finds the
// way out, unless an institution put them there.
func leavesAGroup(l *lab, root, linus *browser) {
	l.Helper()
	for who, b := range map[string]*browser{"an instructor": l.signedIn("grace"), "an administrator": root} {
		if page := b.do("GET", "/teach", nil); page.status == 200 && !strings.Contains(string(page.body), `href="/groups/physics-1"`) {
			l.Errorf("%s finds no way to the group", who)
		}
	}
	codes := call[gateway.JoinCodesView](root, 200, "GET", physicsCodes, nil).Codes
	code := codes[slices.IndexFunc(codes, func(c gateway.JoinCodeView) bool { return c.State == "good" })].Code
	if got := linus.do("POST", "/join", url.Values{"code": {code}}); got.status != 303 {
		l.Fatalf("joined again: %d %s", got.status, got.body)
	}
	export := call[gateway.Export](linus, 200, "GET", "/api/v1/me/export", nil)
	if len(export.Joined) != 1 || export.Joined[0].Group != "physics-1" || !slices.Contains(export.Person.Groups, "physics-1") {
		l.Errorf("exported: %+v, groups %v", export.Joined, export.Person.Groups)
	}
	if page := linus.page(200, "/book?group=physics-1"); !strings.Contains(page, `href="/groups/physics-1"`) {
		l.Error("a member finds no way to the group")
	}
	if page := linus.page(200, "/groups/physics-1"); !strings.Contains(page, "/groups/physics-1/leave") || strings.Contains(page, "/codes") {
		l.Errorf("a member's page: %s", page)
	}
	if got := linus.do("POST", "/groups/physics-1/leave", url.Values{}); got.status != 303 || slices.Contains(linus.me().Groups, "physics-1") {
		l.Errorf("left: %d %s", got.status, got.body)
	}
	ada := l.signedIn("ada")
	if page := ada.page(200, "/groups/physics-1"); strings.Contains(page, "/leave") || !strings.Contains(page, "institution") {
		l.Errorf("the page of who is in it by the institution: %s", page)
	}
	if got := ada.do("POST", "/groups/physics-1/leave", url.Values{}); got.status != 422 || !strings.Contains(string(got.body), "You cannot leave this group") {
		l.Errorf("left what the institution said: %d %s", got.status, got.body)
	}
}
