package gateway_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
)

// A page repeats only what a page of ours sent, only as text, and no more than a form
// may be.
func TestHeldFormsAreTheSendersOwn(t *testing.T) {
	l := newLab(t)
	nobody, grace := l.browser(), l.signedIn("grace")
	typed := url.Values{"to": {"all"}, "text": {`"><script>alert("inert")</script>`}}
	const inert = "alert("
	for name, headers := range map[string][]pair{
		"of another site": {{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}}, "of a neighbour": {{"Sec-Fetch-Site", "same-site"}},
		"without a word": nil, "of nowhere": {{"Origin", "null"}}, "of an old browser": {{"Origin", "https://evil.example"}}, "typed into the address": {{"Sec-Fetch-Site", "none"}},
	} {
		for _, path := range []string{"/teach/notices", "/nowhere", "/continue?to=%2Fteach%2Fnotices"} {
			if got := nobody.do("POST", path, typed, headers...); got.status < 303 || strings.Contains(string(got.body), inert) {
				t.Errorf("%s, %s: %d repeats it", path, name, got.status)
			}
		}
	}
	for name, headers := range map[string][]pair{"new": {ourPage}, "old": {{"Origin", l.url}}} {
		got := nobody.do("POST", "/teach/notices", typed, headers...)
		page := string(got.body)
		if got.status != 401 || strings.Contains(page, "<script>alert") || !slices.Contains(toldAbout(page), typed.Get("text")) || wouldSend(page, "/teach/notices").Get("text") != typed.Get("text") {
			t.Errorf("a %s browser: %d %s", name, got.status, page)
		}
	}
	if page := string(grace.do("POST", "/teach/notices", url.Values{"to": {"nobody:x"}, "text": typed["text"]}, ourPage).body); strings.Contains(page, "<script>alert") || !strings.Contains(page, inert) {
		t.Error("a form that is shown again does not have what was typed, or has it as markup")
	}

	long := url.Values{"to": {"all"}, "text": {strings.Repeat("x", 64<<10)}}
	for path, status := range map[string]int{"/teach/notices": 413, "/mail": 401} { // the form is read before the session, or after it
		got := nobody.do("POST", path, long, ourPage)
		page := string(got.body)
		if got.status != status || strings.Contains(page, "xxxx") || !strings.Contains(page, `data-testid="held-not"`) || strings.Contains(page, `data-testid="send-again"`) {
			t.Errorf("too much: %d %s", got.status, page)
		}
	}
	if log := l.log.String(); strings.Contains(log, "inert") || strings.Contains(log, "xxxx") {
		t.Error("the log has what was typed")
	}
}

// The keys of links are in no page but the one that a link opens.
func TestHeldFormsHoldNoKey(t *testing.T) {
	l := newLab(t)
	for _, path := range []string{"/partner", "/lookup/link"} {
		if got := l.browser().do("POST", path, url.Values{"key": {"a-key-of-a-link"}}, ourPage); got.status < 400 || strings.Contains(string(got.body), "a-key-of-a-link") {
			t.Errorf("%s: %d repeats it", path, got.status)
		}
	}
	page := string(l.browser().do("POST", "/join", url.Values{"code": {"lodge_join_x"}}, ourPage).body)
	if strings.Contains(page, "lodge_join_x") || !strings.Contains(page, `<input name="code" required`) {
		t.Error("a code is repeated, or cannot be typed again")
	}
}

// Of a form with files the words are kept, and the files are chosen again: before the
// handler, while it reads, and when nothing is taken any more.
func TestHeldFormsWithFiles(t *testing.T) {
	l := newLab(t)
	ada, grace := l.signedIn("ada"), l.signedIn("grace")
	one := call[gateway.HandInView](grace, 201, "POST", "/api/v1/handins", gateway.HandInRequest{To: "group:physics-1", Title: "Report", Points: 5})
	path := "/handins/" + one.ID
	send := func(b *browser) (int, string) {
		body, contentType := formOf(t, part{"key", "", "k1"}, part{"text", "", "Typed\nwords"}, part{"keep", "", "kept"}, part{"file", "a.txt", strings.Repeat("In the file. ", 40_000)})
		got := b.sendAs("POST", path, body, pair{"Content-Type", contentType}, ourPage)
		return got.status, string(got.body)
	}
	status, page := send(l.browser())
	form := wouldSend(page, path)
	if status != 401 || form.Get("text") != "Typed\nwords" || form.Get("key") != "k1" || form.Get("keep") != "kept" || !strings.Contains(page, `enctype="multipart/form-data"`) ||
		!strings.Contains(page, `<input type="file" name="file"`) || strings.Contains(page, "In the file.") {
		t.Errorf("not signed in: %d %v", status, form)
	}
	if status, page = send(l.signedIn("linus")); status != 403 && status != 404 || wouldSend(page, path).Get("text") != "Typed\nwords" {
		t.Errorf("not set to him: %d %s", status, page)
	}
	call[gateway.HandInView](grace, 200, "POST", "/api/v1/handins/"+one.ID+"/close", nil)
	if status, page = send(ada); status != 422 && status != 409 || !slices.Contains(toldAbout(page), "Typed\nwords") {
		t.Errorf("closed: %d %s", status, page)
	}
}
