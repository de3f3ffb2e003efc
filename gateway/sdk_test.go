package gateway_test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
)

// The SDK is published on both hosts: under names that never change with the hash
// that the list gives for them, and under the names of what is current.
func TestSDKIsPublished(t *testing.T) {
	l := newLab(t)
	hosts := &uiHost{t: t, handler: l.gateway.Assets(gateway.FoldersIn(t.TempDir())), host: strings.TrimPrefix(l.assets, "http://")}
	b := l.browser()
	elsewhere := pair{"Origin", "https://ui.example.org"}
	for host, get := range map[string]func(path string, h ...pair) answer{
		"gateway": func(path string, h ...pair) answer {
			return b.do("GET", "/sdk/"+path, nil, append(h, elsewhere)...)
		},
		"assets": func(path string, h ...pair) answer {
			got := hosts.do("GET", "/sdk/"+path, append(h, elsewhere)...)
			return answer{got.Code, got.Header(), got.Body.Bytes()}
		},
		"beside a UI": func(path string, h ...pair) answer {
			got := hosts.do("GET", "/assets/sdk/"+path, append(h, elsewhere)...)
			return answer{got.Code, got.Header(), got.Body.Bytes()}
		},
	} {
		var index struct {
			Version string
			Files   []struct{ Name, Version, Integrity string }
		}
		if got := get("integrity.json"); got.status != 200 || json.Unmarshal(got.body, &index) != nil || len(index.Files) < 2 {
			t.Fatalf("%s: %d %s", host, got.status, got.body)
		}
		for _, f := range index.Files {
			got := get(f.Name)
			sum := sha512.Sum384(got.body)
			if got.status != 200 || "sha384-"+base64.StdEncoding.EncodeToString(sum[:]) != f.Integrity {
				t.Errorf("%s: %s is not what its hash says: %d", host, f.Name, got.status)
			}
			for name, want := range map[string]string{
				"Cache-Control": "public, max-age=31536000, immutable", "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin",
				"Content-Type": "text/javascript; charset=utf-8", "X-Content-Type-Options": "nosniff", "Content-Encoding": "",
			} {
				if h := got.header.Get(name); h != want {
					t.Errorf("%s: %s: %s is %q, want %q", host, f.Name, name, h, want)
				}
			}
		}
		current := get("lodge.js", pair{"Accept-Encoding", "gzip"})
		if current.status != 200 || current.header.Get("Cache-Control") != "no-cache" || current.header.Get("Content-Encoding") != "gzip" || len(current.body) > 4<<10 {
			t.Errorf("%s: lodge.js: %d, %d bytes, %v", host, current.status, len(current.body), current.header)
		}
		if again := get("lodge.js", pair{"Accept-Encoding", "gzip"}, pair{"If-None-Match", current.header.Get("ETag")}); again.status != 304 || len(again.body) > 0 {
			t.Errorf("%s: lodge.js again: %d", host, again.status)
		}
		if got := get(""); got.status != 200 || !strings.Contains(string(got.body), "conformance.html") {
			t.Errorf("%s: the page of the SDK: %d", host, got.status)
		}
		if got := get("lodge-0.0.1.js"); got.status != 404 {
			t.Errorf("%s: a version that never was: %d", host, got.status)
		}
	}
}

// A language that was chosen on our pages holds for those of the SDK.
func TestSDKPageInTheChosenLanguage(t *testing.T) {
	l := newLab(t)
	got := l.browser().do("GET", "/sdk/", nil, pair{"Cookie", "lodge-language=de"}, pair{"Accept-Language", "en"})
	if got.status != 200 || !strings.Contains(string(got.body), `<html lang="de"`) || !slices.Contains(got.header["Vary"], "Cookie") {
		t.Errorf("%d %v", got.status, got.header)
	}
}

// The conformance page is where experiment UIs are, whichever host it is asked of.
func TestConformancePageIsWithTheUIs(t *testing.T) {
	l := newLab(t)
	got := l.browser().do("GET", "/sdk/conformance.html?streams=%5B%5D&exp=1", nil)
	if to := got.header.Get("Location"); got.status != 302 || to != l.assets+"/sdk/conformance.html?streams=%5B%5D&exp=1" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d to %q, %v", got.status, to, got.header)
	}
}

// A UI that has nothing but a code learns its streams with it.
func TestCodeLearnsItsStreams(t *testing.T) {
	l := newLab(t)
	ada := l.signedIn("ada")
	activity := ada.launch(ada.book("pend00-everyone"))
	left := call[gateway.RemainingView](l.browser(), 200, "GET", "/api/v1/experiment", nil, authorization(code(activity)))
	if len(left.Streams) == 0 || len(left.Streams) != len(activity.Streams) {
		t.Fatalf("%+v, want those of %+v", left.Streams, activity.Streams)
	}
	for i, s := range activity.Streams {
		got := left.Streams[i]
		if got.For != s.For || got.URL != s.URL || got.Topic != s.Topic || got.ConnectionType != s.ConnectionType || !slices.Equal(got.Scopes, s.Scopes) {
			t.Errorf("%+v, want %+v", got, s)
		}
	}
}
