package gateway_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
)

// Without a script: set, hand in, refused with what was typed, grade, release.
func TestHandInPages(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	form := url.Values{"to": {"group:physics-1"}, "title": {"Lab report"}, "points": {"7,5"}, "types": {"txt"}, "late": {"refuse"}, "zone": {"UTC"}}
	form.Set("points", "many")
	if got := grace.do("POST", "/teach/handins", form); got.status != 422 || !strings.Contains(string(got.body), "Lab report") {
		t.Errorf("%d", got.status)
	}
	form.Set("points", "7,5")
	got := grace.do("POST", "/teach/handins", form)
	at, _, _ := strings.Cut(got.header.Get("Location"), "?")
	id := strings.TrimPrefix(at, "/teach/handins/")
	if got.status != 303 || id == at {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for who, path := range map[*browser]string{ada: "/", grace: "/teach/handins"} {
		if got := who.do("GET", path, nil); got.status != 200 || !strings.Contains(string(got.body), "Lab report") {
			t.Errorf("%s: %d without it", path, got.status)
		}
	}
	send := func(parts ...part) answer {
		body, contentType := formOf(t, parts...)
		return ada.sendAs("POST", "/handins/"+id, body, pair{"Content-Type", contentType})
	}
	if got := send(part{"key", "", "k1"}, part{"text", "", "Typed words"}, part{"file", "a.exe", "MZ"}); got.status != 422 || !strings.Contains(string(got.body), "Typed words") {
		t.Errorf("%d: what was typed is gone", got.status)
	}
	if got := send(part{"key", "", "k2"}, part{"text", "", "Typed words"}, part{"file", "a.txt", "A file"}); got.status != 303 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if page := string(ada.do("GET", "/handins/"+id, nil).body); !strings.Contains(page, "handin-receipt") || !strings.Contains(page, "Typed words") || strings.Contains(page, "handin-grade") {
		t.Error(page)
	}
	ada.do("GET", at, nil)
	if got := ada.do("GET", at, nil); got.status != 403 {
		t.Errorf("a student sees %d", got.status)
	}
	person := call[gateway.WorksView](grace, 200, "GET", "/api/v1/handins/"+id+"/work", nil).Work[0].Person
	if got := grace.do("POST", at+"/grades/"+person, url.Values{"points": {"8"}, "words": {"Kept words"}}); got.status != 422 || !strings.Contains(string(got.body), "Kept words") {
		t.Errorf("%d", got.status)
	}
	for path, form := range map[string]url.Values{"/grades/" + person: {"points": {"7,5"}, "words": {"Well done"}}} {
		if got := grace.do("POST", at+path, form); got.status != 303 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	for _, path := range []string{"/release", "/close"} {
		if got := grace.do("POST", at+path, url.Values{}); got.status != 303 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if page := string(ada.do("GET", "/handins/"+id, nil).body); !strings.Contains(page, "Well done") || !strings.Contains(page, "handin-closed") {
		t.Error(page)
	}
}
