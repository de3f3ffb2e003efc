package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func newPages(t *testing.T) *Pages {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// render returns the page's HTML.
func render(t *testing.T, p *Pages, f fixture) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := p.Render(w, http.StatusOK, f.page, f.data); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("%s: Content-Type %q", f.page, got)
	}
	return w.Body.String()
}

// What a page may not hold under `default-src 'self'`.
var inline = regexp.MustCompile(`(?i)<script(?:\s[^>]*)?>[^<]|<style|\sstyle=|<[^>]*\son[a-z]+\s*=\s*["']|href="javascript:`)

func TestSec44_PagesHoldNothingInline(t *testing.T) {
	p := newPages(t)
	for _, f := range append(emptyViews(), fullViews("Words")...) {
		html := render(t, p, f)
		if at := inline.FindString(html); at != "" {
			t.Errorf("%s: inline %q", f.page, at)
		}
		if !strings.Contains(html, "</html>") || !strings.Contains(html, "<h1") {
			t.Errorf("%s: not a whole page with a heading", f.page)
		}
		if strings.Contains(html, "ZgotmplZ") {
			t.Errorf("%s: a value was refused by its context", f.page)
		}
	}
}

func TestPagesEscapeHostileInput(t *testing.T) {
	p := newPages(t)
	for _, f := range fullViews(hostile) {
		html := render(t, p, f)
		for _, bad := range []string{"<script>alert", "<img src=x", `"><script`, `href="javascript:`} {
			if strings.Contains(html, bad) {
				t.Errorf("%s: %q came through", f.page, bad)
			}
		}
	}
}

func TestPagesHaveUniqueIDs(t *testing.T) {
	p := newPages(t)
	id := regexp.MustCompile(`\sid="([^"]*)"`)
	for _, f := range append(emptyViews(), fullViews("Words")...) {
		seen := map[string]bool{}
		for _, m := range id.FindAllStringSubmatch(render(t, p, f), -1) {
			if seen[m[1]] {
				t.Errorf("%s: id %q twice", f.page, m[1])
			}
			seen[m[1]] = true
		}
	}
}

func TestRenderRefusesUnknownPageAndWrites(t *testing.T) {
	w := httptest.NewRecorder()
	if err := newPages(t).Render(w, http.StatusOK, "nowhere", nil); err == nil {
		t.Fatal("no error for a page that is not there")
	}
	if w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Error("something was written before the error")
	}
}

func TestEveryPageHasItsName(t *testing.T) {
	p := newPages(t)
	covered := map[string]bool{}
	for _, f := range emptyViews() {
		covered[f.page] = true
	}
	for name := range p.pages[English] {
		if !covered[name] {
			t.Errorf("page %q has no view in the tests", name)
		}
	}
	if len(p.pages[English]) != len(covered) {
		t.Errorf("%d templates, %d names", len(p.pages[English]), len(covered))
	}
}
