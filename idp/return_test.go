package idp

import (
	"net/url"
	"strings"
	"testing"
)

func TestSec22_ReturnIsAPathOnThisOrigin(t *testing.T) {
	for s, want := range map[string]string{
		"":                                   "/",
		"/":                                  "/",
		"/bookings":                          "/bookings",
		"/bookings/":                         "/bookings/",
		"/launch/b1?ui=pend&x=1":             "/launch/b1?ui=pend&x=1",
		"/a#b":                               "/a",
		"/@host":                             "/@host",
		"/a?next=//evil.example":             "/a?next=//evil.example", // a query of ours; nothing follows it
		"/a%20b":                             "/a%20b",
		"/ö":                                 "/%C3%B6",
		"bookings":                           "/",
		"//evil.example":                     "/",
		"///evil.example":                    "/",
		"/\\evil.example":                    "/",
		"\\\\evil.example":                   "/",
		"/a\\..\\b":                          "/",
		"/\tevil":                            "/",
		"/\t/evil.example":                   "/",
		"/\n/evil.example":                   "/",
		"/\r\nLocation: x":                   "/",
		"/%0a/evil.example":                  "/",
		"/%0d%0aSet-Cookie:a=b":              "/",
		"/a?b=%0d%0aSet-Cookie:a=b":          "/",
		"/%2f/evil.example":                  "/",
		"/%2fevil.example":                   "/",
		"/%5cevil.example":                   "/",
		"/.//evil.example":                   "/",
		"/..//evil.example":                  "/",
		"/a/../b":                            "/",
		"/a/%2e%2e/b":                        "/",
		"/%zz":                               "/",
		"/a?%zz":                             "/",
		"https://evil.example":               "/",
		"https:evil.example":                 "/",
		"javascript:alert(1)":                "/",
		"http://user:p@lodge.example/":       "/",
		"@evil.example":                      "/",
		" /a":                                "/",
		"/\u2028a":                           "/",
		"/\u0085a":                           "/",
		"/\xff":                              "/",
		"/%ff":                               "/",
		"/%00":                               "/",
		"/" + strings.Repeat("a", maxReturn): "/",
	} {
		if got := SafeReturn(s); got != want {
			t.Errorf("SafeReturn(%q) = %q, want %q", s, got, want)
		}
	}
}

func FuzzSec22_SafeReturn(f *testing.F) {
	for _, s := range []string{
		"/", "/a?b=c", "//evil", "/\\evil", "/%0a", "/%2f%2fevil", "/@u", "https://u:p@h/", "/\x00", "/a/./b", "/%5c", "/a;b", "/?", "/a?#b", "/:a",
	} {
		f.Add(s)
	}
	base, err := url.Parse("https://lodge.example/login/dev")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := SafeReturn(s)
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\#") {
			t.Fatalf("SafeReturn(%q) = %q", s, got)
		}
		for _, r := range got {
			if r <= 0x20 || r >= 0x7f && r < 0xa0 {
				t.Fatalf("SafeReturn(%q) = %q holds %q", s, got, r)
			}
		}
		u, err := base.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host != "lodge.example" || u.User != nil {
			t.Fatalf("SafeReturn(%q) = %q leads to %v (%v)", s, got, u, err)
		}
		decoded, err := url.PathUnescape(u.EscapedPath())
		if err != nil || strings.HasPrefix(decoded, "//") || strings.Contains(decoded, `\`) || hasControl(decoded) {
			t.Fatalf("SafeReturn(%q) = %q decodes to %q (%v)", s, got, decoded, err)
		}
		if again := SafeReturn(got); again != got {
			t.Fatalf("SafeReturn is not idempotent: %q, %q", got, again)
		}
	})
}
