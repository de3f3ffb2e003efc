package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lodge-gateway/lodge/gateway"
)

// A uiHost serves a directory of UIs as the assets host does.
type uiHost struct {
	t       *testing.T
	dir     string
	handler http.Handler
	host    string
}

func newUIHost(t *testing.T) *uiHost {
	l := newLab(t)
	dir := t.TempDir()
	return &uiHost{t: t, dir: dir, handler: l.gateway.Assets(gateway.FoldersIn(dir)), host: strings.TrimPrefix(l.assets, "http://")}
}

// put writes files below the directory: name, content, name, content.
func (u *uiHost) put(files ...string) {
	u.t.Helper()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(u.dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			u.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o644); err != nil {
			u.t.Fatal(err)
		}
	}
}

func (u *uiHost) do(method, target string, headers ...pair) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://"+u.host+target, nil)
	for _, h := range headers {
		r.Header.Set(h.name, h.value)
	}
	w := httptest.NewRecorder()
	u.handler.ServeHTTP(w, r)
	return w
}

func TestAssetsServesFoldersOfUIs(t *testing.T) {
	u := newUIHost(t)
	u.put("spin/index.html", "<p>spin", "spin/app.js", "export {}", "spin/index-BdRk2x9_.js", "hashed", "spin/deep/index.html", "<p>deep",
		"spin/bare/data.json", "{}", "spin/.env", "SECRET", "spin/.git/config", "SECRET", "spin/model.unknown-ending", "x", "spin/å b.txt", "name",
		"other/index.html", "<p>other", "file-at-the-top", "x", "secret/key.txt", "SECRET")
	link := func(to, at string) {
		if err := os.Symlink(to, filepath.Join(u.dir, at)); err != nil {
			t.Fatal(err)
		}
	}
	link("app.js", "spin/same.js")
	link("../secret/key.txt", "spin/leak.txt")
	link("/etc/passwd", "spin/passwd")
	link("/etc", "spin/etc")
	link(filepath.Join(u.dir, "other"), "alias")
	if err := syscall.Mkfifo(filepath.Join(u.dir, "spin/pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	const page, revalidated, forEver = "text/html; charset=utf-8", "no-cache", "public, max-age=31536000, immutable"
	for _, test := range []struct {
		target, body string
		status       int
		mime, cache  string
	}{
		{"/assets/spin/", "<p>spin", 200, page, revalidated},
		{"/assets/spin/index.html", "<p>spin", 200, page, revalidated},
		{"/assets/spin/?streams=x&exp=1", "<p>spin", 200, page, revalidated},
		{"/assets/spin/app.js", "export {}", 200, "text/javascript; charset=utf-8", revalidated},
		{"/assets/spin/same.js", "export {}", 200, "text/javascript; charset=utf-8", revalidated},
		{"/assets/spin/index-BdRk2x9_.js", "hashed", 200, "text/javascript; charset=utf-8", forEver},
		{"/assets/spin/deep/", "<p>deep", 200, page, revalidated},
		{"/assets/spin/bare/data.json", "{}", 200, "application/json", revalidated},
		{"/assets/spin/model.unknown-ending", "x", 200, "application/octet-stream", revalidated},
		{"/assets/spin/%C3%A5%20b.txt", "name", 200, "text/plain; charset=utf-8", revalidated},
		{"/assets/alias/", "<p>other", 200, page, revalidated},
		{"/assets/spin/bare/", "", 404, "", ""},
		{"/assets/spin/bare", "", 404, "", ""},
		{"/assets/", "", 404, "", ""},
		{"/assets/nothing/", "", 404, "", ""},
		{"/assets/file-at-the-top/", "", 404, "", ""},
		{"/assets/spin/nothing.js", "", 404, "", ""},
		{"/assets/spin/.env", "", 404, "", ""},
		{"/assets/spin/.git/config", "", 404, "", ""},
		{"/assets/spin/pipe", "", 404, "", ""},
		{"/assets/spin/app.js/", "", 404, "", ""},
		{"/assets/spin/leak.txt", "", 403, "", ""},
		{"/assets/spin/passwd", "", 403, "", ""},
		{"/assets/spin/etc/passwd", "", 403, "", ""},
		{"/assets/spin/..%2fsecret/key.txt", "", 404, "", ""},
		{"/assets/spin/%2e%2e/secret/key.txt", "", 0, "", ""},
		{"/assets/..%2fsecret/key.txt", "", 404, "", ""},
		{"/assets/spin/..%5c..%5csecret%5ckey.txt", "", 404, "", ""},
		{"/assets/spin/app.js%00.html", "", 404, "", ""},
		{"/assets/spin//app.js", "", 0, "", ""},
	} {
		got := u.do("GET", test.target)
		body, h := got.Body.String(), got.Header()
		if strings.Contains(body, "SECRET") || strings.Contains(body, "root:") {
			t.Fatalf("%s: what is outside, or hidden: %q", test.target, body)
		}
		if test.status == 0 { // the path is made plain first (RFC 9110 section 4.2.3)
			if got.Code < 300 || got.Code > 404 {
				t.Errorf("%s: %d", test.target, got.Code)
			}
			continue
		}
		if got.Code != test.status || test.status == 200 && (body != test.body || h.Get("Content-Type") != test.mime || h.Get("Cache-Control") != test.cache || h.Get("ETag") == "") {
			t.Errorf("%s: %d %q %v", test.target, got.Code, body, h)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors http://127.0.0.1:") || len(h.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %v", test.target, h)
		}
	}
	for target, to := range map[string]string{"/assets/spin": "/assets/spin/", "/assets/spin/deep?a=b": "/assets/spin/deep/?a=b"} {
		got := u.do("GET", target)
		base, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := base.Parse(got.Header().Get("Location"))
		if err != nil || got.Code/100 != 3 || ref.String() != to {
			t.Errorf("%s: %d to %s (%v), want %s", target, got.Code, ref, err, to)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		if got := u.do(method, "/assets/spin/app.js"); got.Code != 405 || !strings.Contains(got.Header().Get("Allow"), "GET") {
			t.Errorf("%s: %d %v", method, got.Code, got.Header())
		}
	}
}

func TestAssetsAnswersConditionsRangesAndEncodings(t *testing.T) {
	u := newUIHost(t)
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	if _, err := zw.Write([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	u.put("spin/app.js", "0123456789", "spin/app.js.gz", packed.String(), "spin/app.js.br", "brotli", "spin/plain.js", "0123456789")
	plain := u.do("GET", "/assets/spin/plain.js", pair{"Accept-Encoding", "gzip, br"})
	if plain.Body.String() != "0123456789" || plain.Header().Get("Vary") != "" || plain.Header().Get("Content-Encoding") != "" {
		t.Errorf("nothing lies beside it: %v", plain.Header())
	}
	tag := plain.Header().Get("ETag")
	if got := u.do("GET", "/assets/spin/plain.js", pair{"If-None-Match", tag}); got.Code != 304 || got.Body.Len() > 0 {
		t.Errorf("unchanged: %d", got.Code)
	}
	if got := u.do("GET", "/assets/spin/plain.js", pair{"Range", "bytes=2-4"}, pair{"If-Range", tag}); got.Code != 206 || got.Body.String() != "234" {
		t.Errorf("a range: %d %q", got.Code, got.Body)
	}
	if got := u.do("GET", "/assets/spin/plain.js", pair{"Range", "bytes=90-"}); got.Code != 416 {
		t.Errorf("a range beyond the end: %d", got.Code)
	}
	if got := u.do("HEAD", "/assets/spin/plain.js"); got.Code != 200 || got.Body.Len() > 0 || got.Header().Get("Content-Length") != "10" {
		t.Errorf("HEAD: %d %v", got.Code, got.Header())
	}
	tags := map[string]bool{}
	for accept, want := range map[string][2]string{
		"": {"", "0123456789"}, "identity": {"", "0123456789"}, "gzip": {"gzip", packed.String()}, "gzip, br": {"br", "brotli"}, "br;q=0, gzip;q=0.5": {"gzip", packed.String()}, "br;q=x": {"", "0123456789"},
	} {
		got := u.do("GET", "/assets/spin/app.js", pair{"Accept-Encoding", accept})
		h := got.Header()
		if h.Get("Content-Encoding") != want[0] || got.Body.String() != want[1] || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%q: %v %q", accept, h, got.Body)
		}
		tags[h.Get("ETag")] = true
	}
	if len(tags) != 3 {
		t.Errorf("three representations have the tags %v", tags)
	}
}

func TestAssetsTakesOnlyHashesForHashes(t *testing.T) {
	u := newUIHost(t)
	for name, forEver := range map[string]bool{
		"main.3f9c0d21.js": true, "main.3f9c0d21.chunk.css": true, "index-BdRk2x9_.js": true, "logo-3f9c0d21e4.svg": true, "main.3f9c0d21.js.map": true,
		"app-settings.js": false, "report-20261122.pdf": false, "video-1920x1080.mp4": false, "jquery-3.7.1.min.js": false, "index.html": false, "a-deadbeef.js": false, "component-library.js": false,
	} {
		u.put("spin/"+name, "x")
		if got := u.do("GET", "/assets/spin/"+name).Header().Get("Cache-Control"); strings.Contains(got, "immutable") != forEver {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A namespace is exchanged as git-sync does it, by renaming a link over another,
// and the old folder is removed: whoever asks meanwhile is given one of the two,
// whole, and never a miss.
func TestAssetsFolderIsExchangedWhileItIsRead(t *testing.T) {
	u := newUIHost(t)
	versions := t.TempDir()
	exchange := func(n int) {
		dir := filepath.Join(versions, fmt.Sprint(n))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte(strings.Repeat(fmt.Sprintf("v%06d ", n), 100)), 0o644); err != nil {
			t.Fatal(err)
		}
		next := filepath.Join(versions, "next")
		if err := os.Symlink(dir, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(u.dir, "spin")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(versions, fmt.Sprint(n-1))); err != nil {
			t.Fatal(err)
		}
	}
	exchange(1)
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				got := u.do("GET", "/assets/spin/")
				body := got.Body.String()
				if got.Code != 200 || len(body) != 800 || strings.Count(body, body[:8]) != 100 {
					t.Errorf("while it was exchanged: %d, %d bytes", got.Code, len(body))
					return
				}
			}
		})
	}
	for n := range 200 {
		exchange(n + 2)
	}
	stop()
	readers.Wait()
}
