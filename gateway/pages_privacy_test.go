package gateway_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lodge-gateway/lodge/gateway"
	"github.com/lodge-gateway/lodge/internal/audit"
)

func (b *browser) page(status int, path string, headers ...pair) string {
	b.lab.Helper()
	got := b.do("GET", path, nil, headers...)
	if got.status != status {
		b.lab.Fatalf("GET %s: %d\n%s", path, got.status, got.body)
	}
	return string(got.body)
}

// What administrators look at, those concerned see; what they do themselves is not
// held against anybody.
func TestPrivacyPageSaysWhoLooked(t *testing.T) {
	l := newLab(t)
	ada, root := l.signedIn("ada"), l.signedIn("root")
	id := ada.me().Person
	if page := ada.page(200, "/privacy"); !strings.Contains(page, "Nobody but you.") || !strings.Contains(page, `href="/api/v1/me/export"`) {
		t.Errorf("the first look:\n%s", page)
	}
	call[gateway.ExplanationView](root, 200, "GET", "/api/v1/admin/persons/"+id+"/explain", nil)
	l.recorded(audit.Look, "person:"+root.me().Person, "person:"+id)
	page := ada.page(200, "/privacy")
	if !strings.Contains(page, "Root Admin") || !strings.Contains(page, "looked at what is held about you") || strings.Count(page, `data-testid="look"`) != 1 {
		t.Errorf("who looked:\n%s", page)
	}
	if german := ada.page(200, "/privacy", pair{"Accept-Language", "de"}); !strings.Contains(german, "sah an, was über Sie aufbewahrt wird") {
		t.Errorf("in German:\n%s", german)
	}
}

func TestPrivacyPageErasesWithProofAlone(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	ada.book("pend02-everyone")
	version := regexp.MustCompile(`name="version" value="([^"]+)"`)
	stale := version.FindStringSubmatch(ada.page(200, "/privacy"))
	if stale == nil {
		t.Fatal("no form to erase oneself soon after signing in")
	}
	l.clock.pass(11 * time.Minute)
	if page := ada.page(200, "/privacy"); version.MatchString(page) || !strings.Contains(page, "/login/dev?fresh=true&amp;return=%2Fprivacy") {
		t.Errorf("erasing without proof is offered:\n%s", page)
	}
	if got := ada.do("POST", "/privacy/erase", url.Values{"version": {stale[1]}}); got.status != 403 || !strings.Contains(string(got.body), "Sign in again first") {
		t.Errorf("erased without proof: %d\n%s", got.status, got.body)
	}
	ada.confirm("/login/dev?fresh=true&return=%2Fprivacy", "ada")
	if got := ada.do("POST", "/privacy/erase", url.Values{"version": {"stale"}}); got.status != 409 {
		t.Errorf("something else was erased than was shown: %d", got.status)
	}
	now := version.FindStringSubmatch(ada.page(200, "/privacy"))
	if now == nil {
		t.Fatal("no form after the proof")
	}
	if got := ada.do("POST", "/privacy/erase", url.Values{"version": {now[1]}}); got.status != 303 || got.header.Get("Location") != "/?done=erased" {
		t.Errorf("erase: %d %s", got.status, got.body)
	}
	ada.refused(401, "GET", "/api/v1/me", nil)
	if page := ada.page(200, "/?done=erased"); !strings.Contains(page, "You are erased here.") {
		t.Errorf("after it:\n%s", page)
	}
}

func TestSec22_LanguageIsChosenWithoutScript(t *testing.T) {
	l := newLab(t)
	b := l.browser()
	if page := b.page(200, "/lookup"); !strings.Contains(page, `<html lang="en"`) || !strings.Contains(page, "Find my booking") {
		t.Error("not in English")
	}
	if page := b.page(200, "/lookup", pair{"Accept-Language", "de-CH, en;q=0.5"}); !strings.Contains(page, `<html lang="de"`) || !strings.Contains(page, "Meine Buchung finden") {
		t.Error("not in the browser's language")
	}
	for to, want := range map[string]string{"/lookup": "/lookup", "//evil.example": "/", "https://evil.example/": "/"} {
		if got := b.do("POST", "/language", url.Values{"language": {"de"}, "return": {to}}); got.status != 303 || got.header.Get("Location") != want {
			t.Errorf("%q: %d to %q", to, got.status, got.header.Get("Location"))
		}
	}
	if got := b.do("POST", "/language", url.Values{"language": {"tlh"}}); got.status != 422 || !strings.Contains(string(got.body), "In dieser Sprache gibt es die Seiten nicht") {
		t.Errorf("an unknown language: %d", got.status)
	}
	if page := b.page(200, "/lookup", pair{"Accept-Language", "en"}); !strings.Contains(page, `<html lang="de"`) {
		t.Error("what was chosen is forgotten")
	}
	got := b.do("POST", "/lookup", url.Values{"surname": {"Byron"}, "reference": {"BBBBBB"}})
	if got.status != 404 || !strings.Contains(string(got.body), "Zu diesem Nachnamen und dieser Referenz gibt es keine Buchung") {
		t.Errorf("a refusal: %d\n%s", got.status, got.body)
	}
}

func TestPagesAreInTheReadersZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, func(c *gateway.Config) { c.Zone = berlin })
	b := l.browser()
	for cookie, want := range map[string]string{
		"": "Europe/Berlin", "lodge-zone=Asia/Tokyo": "Asia/Tokyo", "lodge-zone=Local": "Europe/Berlin",
		"lodge-zone=../../etc/passwd": "Europe/Berlin", "lodge-zone=Asia/Tokyo; lodge-zone=Asia/Seoul": "Europe/Berlin",
	} {
		var headers []pair
		if cookie != "" {
			headers = append(headers, pair{"Cookie", cookie})
		}
		if page := b.page(200, "/lookup", headers...); !strings.Contains(page, `data-shown-in="`+want+`"`) {
			t.Errorf("%q: not in %s", cookie, want)
		}
	}
}
