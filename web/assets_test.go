package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// get asks h for a path and returns the answer.
func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStaticIsImmutableUnderItsHash(t *testing.T) {
	p := newPages(t)
	address, err := p.static.url("js/app.js")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		address:                        "public, max-age=31536000, immutable",
		"/static/js/app.js":            "no-cache",
		"/static/0000000000/js/app.js": "no-cache", // of another version: this one, revalidated
	} {
		r := get(t, p.Static(), path)
		if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != want {
			t.Errorf("%s: %d, Cache-Control %q, want %q", path, r.StatusCode, r.Header.Get("Cache-Control"), want)
		}
		if got := r.Header.Get("Content-Type"); got != "text/javascript; charset=utf-8" {
			t.Errorf("%s: Content-Type %q", path, got)
		}
		again := get(t, p.Static(), path, "If-None-Match", r.Header.Get("ETag"))
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: %d when the ETag is known", path, again.StatusCode)
		}
	}
}

func TestStaticCompressesForWhoAsks(t *testing.T) {
	p := newPages(t)
	plain := get(t, p.Static(), "/static/css/lodge.css")
	small := get(t, p.Static(), "/static/css/lodge.css", "Accept-Encoding", "br, gzip;q=0.8")
	never := get(t, p.Static(), "/static/css/lodge.css", "Accept-Encoding", "gzip;q=0")
	if plain.Header.Get("Content-Encoding") != "" || never.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for a client that did not ask")
	}
	if small.Header.Get("Content-Encoding") != "gzip" || small.Header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("headers %v", small.Header)
	}
	if small.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Error("two representations share an ETag")
	}
	zr, err := gzip.NewReader(small.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(unpacked, body(t, plain)) {
		t.Error("the compressed file is another")
	}
}

func TestStaticRefusesWhatIsNotThere(t *testing.T) {
	p := newPages(t)
	for _, path := range []string{"/static/", "/static/js", "/static/js/", "/static/../web.go", "/static/x/../js/app.js", "/static/templates/home.html"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		p.Static().ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	p.Static().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/static/js/app.js", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// firstViewBudget is that of every page, in bytes as they travel.
const firstViewBudget = 60 << 10

var importFrom = regexp.MustCompile(`(?m)(?:from |import\()'([^']+)'`)

func TestFirstViewSize(t *testing.T) {
	p := newPages(t)
	assets := 0
	for name, f := range p.static.files {
		if len(f.gzip) > 0 {
			assets += len(f.gzip)
		} else {
			assets += len(f.plain)
		}
		for _, m := range importFrom.FindAllStringSubmatch(string(f.plain), -1) {
			if strings.HasSuffix(name, ".js") && strings.Contains(m[1], "//") {
				t.Errorf("%s imports from elsewhere: %s", name, m[1])
			}
		}
	}
	for _, f := range fullViews("Words") {
		page, err := compress([]byte(render(t, p, f)))
		if err != nil {
			t.Fatal(err)
		}
		if total := assets + len(page); total > firstViewBudget {
			t.Errorf("%s: %d bytes compressed in all, more than %d", f.page, total, firstViewBudget)
		}
	}
}

func TestModulesImportWhatIsThere(t *testing.T) {
	p := newPages(t)
	for name, f := range p.static.files {
		if !strings.HasPrefix(name, "js/") {
			continue
		}
		for _, m := range importFrom.FindAllStringSubmatch(string(f.plain), -1) {
			if r := get(t, p.Static(), "/static/"+resolve("js", m[1])); r.StatusCode != http.StatusOK {
				t.Errorf("%s imports %s: %d", name, m[1], r.StatusCode)
			}
		}
	}
}

// resolve follows a relative import from a directory.
func resolve(dir, spec string) string {
	if rest, ok := strings.CutPrefix(spec, "../"); ok {
		return rest
	}
	return dir + "/" + strings.TrimPrefix(spec, "./")
}

func TestSamplesAreATree(t *testing.T) {
	want := []string{"pendulum/index.html", "pendulum/pendulum.js", "pendulum/pendulum.css"}
	if err := fstest.TestFS(Samples(), want...); err != nil {
		t.Fatal(err)
	}
}

func TestSamplesHoldNothingInlineOrAbsolute(t *testing.T) {
	absolute := regexp.MustCompile(`(?:src|href)="(?:/|https?:)`)
	err := fs.WalkDir(Samples(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".html") {
			return err
		}
		html, err := fs.ReadFile(Samples(), name)
		if err != nil {
			return err
		}
		if at := inline.Find(html); at != nil {
			t.Errorf("%s: inline %q", name, at)
		}
		if at := absolute.Find(html); at != nil {
			t.Errorf("%s: absolute address %q", name, at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
